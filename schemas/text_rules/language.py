"""Is a text in the language its job declares? Script first, then the identifiers' votes."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from schemas.sample import LanguageVote
from schemas.text_rules.candidate import Candidate
from schemas.text_rules.close_languages import (
    MIN_WORDS,
    TAKEN_FOR,
    alike,
    count_different_words,
    group_of,
    names_close_language,
    tell_apart,
)
from schemas.text_rules.identify import Identifier, Opinion, identify, languages_of
from schemas.text_rules.normal_form import count_words
from schemas.text_rules.scripts import has_wrong_script, is_written_without_spaces
from schemas.vocabulary import LANGUAGES

Finding = Literal["confirmed", "abstained", "contradicted"]

# The limits below were tuned on two sentences in each of the 93 languages, cut to 3, 4, 5, 6 and 8
# words and whole, and on CLDR names with keywords: no sentence and 0.3 % of the names are dropped
# wrongly; of texts in another language of the same script 98 % are found from 6 words on.
#: From this share on, a ranking identifier considers the declared language possible.
_PLAUSIBLE = 0.03
#: Two identifiers that agree on another language are believed from this share on,
_AGREED = 0.3
#: even if the declared one is plausible: from this share on, when it has less than that.
_AGREED_STRONGLY, _HARDLY_PLAUSIBLE = 0.5, 0.15
#: One ranking identifier alone is believed from this share on.
_ALONE = 0.5
#: pycld2 alone is believed from this many words on; it calls itself reliable even on two names.
_MIN_WORDS_ALONE = 5


@dataclass(frozen=True, slots=True)
class LanguageReport:
    """A reason to drop, or None; the votes; whether any text was left unjudged, or overruled."""

    reason: str | None
    votes: tuple[LanguageVote, ...]
    has_abstained: bool
    is_disputed: bool = False


def check_language(candidate: Candidate, *, trusts_writer: bool = False) -> LanguageReport:
    """Every text in the job's language, the instruction in English.

    Texts that are too short to be judged one by one are also judged together, as
    the vote of field `together`. Reasons: `wrong_script`, `wrong_language`,
    `instruction_not_english`. Where the writer is trusted, as a person is,
    `wrong_language` drops nothing and is reported as a dispute.
    """
    code, config = candidate.language.code, candidate.config
    identifiers, min_words = tuple(config.language_identifiers), config.min_words_to_identify
    votes: list[LanguageVote] = []

    def ask(field: str, text: str, declared: str) -> Finding:
        finding, named = judge(text, declared, identifiers, min_words)
        votes.extend([_vote(field, identifier, detected) for identifier, detected in named])
        return finding

    unclear: list[str] = []
    is_disputed = False
    for field, text in candidate.texts:
        if has_wrong_script(text, candidate.language):
            return LanguageReport("wrong_script", tuple(votes), False)
        finding = ask(field, text, code)
        if finding == "contradicted":
            if not trusts_writer:
                return LanguageReport("wrong_language", tuple(votes), False)
            is_disputed = True
        if finding == "abstained":
            unclear.append(text)
    if len(unclear) > 1:
        finding = ask("together", ", ".join(unclear), code)
        if finding == "contradicted":
            if not trusts_writer:
                return LanguageReport("wrong_language", tuple(votes), False)
            is_disputed = True
        if finding == "confirmed":
            unclear.clear()
    instruction = candidate.draft.instruction
    if (
        has_wrong_script(instruction, LANGUAGES["en"])
        or (finding := ask("instruction", instruction, "en")) == "contradicted"
    ):
        return LanguageReport("instruction_not_english", tuple(votes), False)
    has_abstained = bool(unclear) or finding == "abstained"
    return LanguageReport(None, tuple(votes), has_abstained, is_disputed)


def judge(
    text: str, declared: str, identifiers: tuple[Identifier, ...], min_words: int
) -> tuple[Finding, list[tuple[Identifier, str | None]]]:
    """What the identifiers together say about a text, and which language each named.

    They are asked in order until one confirms the declared language or one of
    its group. A text of fewer than `min_words` words is not judged. langdetect
    is asked, whether it is in the list or not, where the others leave open
    which of two close languages it is.
    """
    num_words = count_words(text, "zh" if is_written_without_spaces(text) else declared)
    if num_words < min_words:
        return "abstained", []
    opinions: list[Opinion] = []
    named: list[tuple[Identifier, str | None]] = []
    group = group_of(declared)
    for identifier in identifiers:
        opinion = identify(identifier, text)
        if opinion is None:
            named.append((identifier, None))
            continue
        top = opinion.top
        named.append((identifier, top))
        if top not in group:
            opinions.append(opinion)
        elif not opinion.is_weak:
            opinions.append(opinion)
            break
    if len(opinions) == 1 and opinions[0].top in group:
        return "confirmed", named
    is_short = count_different_words(text) < MIN_WORDS
    if not is_short and names_close_language(opinions, declared):
        is_declared, choice = tell_apart(opinions, declared, text)
        if choice:
            named.append((choice.identifier, choice.top))
        if is_declared is not None:
            return ("confirmed" if is_declared else "contradicted"), named
    accepted = alike(declared) if is_short else group
    if any(opinion.top in accepted for opinion in opinions):
        return "confirmed", named
    return _weigh(opinions, declared, num_words), named


def _weigh(opinions: list[Opinion], declared: str, num_words: int) -> Finding:
    """The verdict when no identifier's first choice was the declared language.

    An identifier that gives each language a share can clear the declared one
    even where another comes first; pycld2, which names a single language, can
    only contradict it, and needs a longer text for that. So the rules go from
    the strongest evidence against the declared language to the weakest.
    """
    trusted = _trusted_without_shares(opinions, num_words)
    ranking = [opinion for opinion in opinions if _ranks(opinion, declared)]
    if not ranking:
        return "contradicted" if trusted else "abstained"
    best = max(ranking, key=lambda opinion: opinion.ranked[0][1])
    share = best.share(group_of(best.top))
    is_agreed = sum(opinion.top in group_of(best.top) for opinion in opinions) > 1
    accepted = alike(declared) | TAKEN_FOR.get(declared, frozenset())
    plausibility = max(opinion.share(accepted) for opinion in ranking)
    if is_agreed and share >= _AGREED_STRONGLY and plausibility < _HARDLY_PLAUSIBLE:
        return "contradicted"
    if trusted and _only_known_to(trusted, best, declared):
        return "contradicted"
    if plausibility >= _PLAUSIBLE:
        return "confirmed" if best.top in accepted else "abstained"
    is_believed = share >= (_AGREED if is_agreed else _ALONE)
    return "contradicted" if is_believed or trusted else "abstained"


def _trusted_without_shares(opinions: list[Opinion], num_words: int) -> Opinion | None:
    """The opinion that calls itself reliable, if the text is long enough to believe that."""
    if num_words < _MIN_WORDS_ALONE:
        return None
    return next((opinion for opinion in opinions if opinion.is_reliable), None)


def _ranks(opinion: Opinion, declared: str) -> bool:
    """Whether an identifier gives shares, and one that says something about this language."""
    is_known = declared in languages_of(opinion.identifier) or declared in TAKEN_FOR
    return opinion.identifier != "pycld2" and is_known


def _only_known_to(reliable: Opinion, best: Opinion, declared: str) -> bool:
    """Whether the other identifier does not know the language that this one named."""
    taken_for = TAKEN_FOR.get(reliable.top, frozenset())
    is_near = reliable.top == "su" and declared in taken_for
    return reliable.top not in languages_of(best.identifier) and bool(taken_for) and not is_near


@lru_cache(maxsize=4_096)
def _vote(field: str, identifier: Identifier, detected: str | None) -> LanguageVote:
    return LanguageVote(field=field, identifier=identifier, detected=detected)
