"""What looks wrong in a build, as sentences: repeats, languages and reasons that stand out."""

from collections import Counter
from collections.abc import Mapping

from builder.balance.variety import Variety, by_language
from schemas.vocabulary import LANGUAGES, Slot

#: Fewer samples say nothing about variety, fewer jobs nothing about what passes.
MIN_SAMPLES = 20
MIN_JOBS = 12
#: A language whose replies pass less often than this hardly passes.
_LOW_PASS_SHARE = 0.4
#: An instruction that so many samples share is the same for all.
_REPEATED_SHARE = 0.5
#: Where fewer of the pairs of query and positive text differ, the model repeats itself.
_FEW_TEXTS_SHARE = 0.3
#: A reason that stands for so many of the drops dominates, if drops are so many of the jobs.
_DOMINANT_SHARE = 0.5
_MANY_DROPS_SHARE = 0.1
_MAX_QUOTED_CHARS = 60
_MAX_SENTENCES_PER_KIND = 3


def warning_signs(
    kept: Mapping[str, int],
    dropped: Mapping[str, Mapping[str, int]],
    varieties: dict[Slot, Variety],
) -> list[str]:
    """Sentences about what a person should look at; none where nothing stands out.

    Args:
        kept: Kept samples by language.
        dropped: Dropped jobs by language and reason, surplus left out.
        varieties: Of the kept samples, by cell and language.
    """
    return [
        *_listed(_repeated_instructions(varieties), "more repeat an instruction"),
        *_listed(_few_texts(varieties), "more repeat their texts"),
        *_listed(_low_pass(kept, dropped), "more languages hardly pass"),
        *_dominant_reason(kept, dropped),
    ]


def _repeated_instructions(varieties: dict[Slot, Variety]) -> list[str]:
    sentences: list[str] = []
    whole = set[str]()
    for language, variety in sorted(by_language(varieties).items()):
        text, num = variety.commonest
        if variety.num >= MIN_SAMPLES and num >= _REPEATED_SHARE * variety.num:
            whole.add(language)
            sentences.append(
                f"{_named(language)}: {num:,} of {variety.num:,} samples have the same "
                f'instruction, "{_quoted(text)}".'
            )
    for (task, modality, language), variety in sorted(varieties.items()):
        text, num = variety.commonest
        is_many = variety.num >= MIN_SAMPLES and num >= _REPEATED_SHARE * variety.num
        if is_many and language not in whole:
            sentences.append(
                f"{_named(language)}, {task} {modality}: {num:,} of {variety.num:,} samples have "
                f'the same instruction, "{_quoted(text)}".'
            )
    return sentences


def _few_texts(varieties: dict[Slot, Variety]) -> list[str]:
    return [
        f"{_named(language)}, {task} {modality}: only {variety.num_texts:,} different pairs of "
        f"query and positive text in {variety.num_with_text:,} samples."
        for (task, modality, language), variety in sorted(
            varieties.items(), key=lambda entry: entry[1].num_texts / max(1, entry[1].num)
        )
        if variety.num_with_text >= MIN_SAMPLES
        and variety.num_texts < _FEW_TEXTS_SHARE * variety.num_with_text
    ]


def _low_pass(kept: Mapping[str, int], dropped: Mapping[str, Mapping[str, int]]) -> list[str]:
    found: list[tuple[float, str]] = []
    for language, reasons in dropped.items():
        num_dropped, num_kept = sum(reasons.values()), kept.get(language, 0)
        num = num_dropped + num_kept
        if num >= MIN_JOBS and num_kept < _LOW_PASS_SHARE * num:
            reason, count = Counter(reasons).most_common(1)[0]
            sentence = (
                f"{_named(language)} hardly passes: {num_kept:,} of {num:,} jobs kept; the "
                f"commonest reason is {reason} ({count:,})."
            )
            found.append((num_kept / num, sentence))
    return [sentence for _, sentence in sorted(found)]


def _dominant_reason(
    kept: Mapping[str, int], dropped: Mapping[str, Mapping[str, int]]
) -> list[str]:
    total: Counter[str] = Counter()
    for reasons in dropped.values():
        total.update(reasons)
    num_dropped, num_kept = total.total(), sum(kept.values())
    if num_dropped < MIN_JOBS or num_dropped < _MANY_DROPS_SHARE * (num_dropped + num_kept):
        return []
    reason, count = total.most_common(1)[0]
    if count < _DOMINANT_SHARE * num_dropped:
        return []
    return [
        f"{reason} stands for {count:,} of {num_dropped:,} drops. Look at some with "
        f"`samples list --reason {reason}`."
    ]


def _listed(sentences: list[str], rest: str) -> list[str]:
    """The first sentences, and how many there are besides."""
    shown = sentences[:_MAX_SENTENCES_PER_KIND]
    left = len(sentences) - len(shown)
    return [*shown, f"{left:,} {rest}; see run.json."] if left else shown


def _named(code: str) -> str:
    language = LANGUAGES.get(code)
    return f"{language.name} ({code})" if language else code


def _quoted(text: str) -> str:
    """Model text for a terminal: printable, and not too long."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return plain if len(plain) <= _MAX_QUOTED_CHARS else f"{plain[: _MAX_QUOTED_CHARS - 1]}…"
