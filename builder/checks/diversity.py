"""How varied a set of texts is, for the quality report; nothing is dropped for it.

mmE5 draws ideas inside its one call; E5-mistral found less variety that way, so
it is measured.
"""

from collections.abc import Iterable, Mapping, Sequence

from schemas.text_rules.normal_form import CHARS_PER_WORD, normalise

#: Texts looked at for distinct-n, evenly spread: the ratio falls with the number of texts, so
#: figures compare only at equal size.
MAX_TEXTS = 20_000


def instruction_diversity(instructions: Iterable[str]) -> dict[str, float]:
    """Share of unique instructions, and distinct-1 and distinct-2 of them.

    Returns:
        `num`, `num_unique`, `unique_ratio`, `distinct_1`, `distinct_2`; the
        distinct figures over the unique instructions.
    """
    num = 0
    unique: dict[str, None] = {}
    for instruction in instructions:
        num += 1
        unique[normalise(instruction)] = None
    texts = [text.split() for text in _spread(list(unique))]
    return {
        "num": num,
        "num_unique": len(unique),
        "unique_ratio": len(unique) / num if num else 0.0,
        "distinct_1": _distinct(texts, 1),
        "distinct_2": _distinct(texts, 2),
    }


def text_diversity(texts_by_language: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Distinct-1 and distinct-2 of the texts in each language.

    Words where the language writes spaces, characters where it does not.

    Source: Li et al. 2016, arXiv:1510.03055.
    """
    found: dict[str, dict[str, float]] = {}
    for language, texts in texts_by_language.items():
        split = list if language in CHARS_PER_WORD else str.split
        tokens = [split(normalise(text)) for text in _spread(texts)]
        found[language] = {
            "num": len(texts),
            "distinct_1": _distinct(tokens, 1),
            "distinct_2": _distinct(tokens, 2),
        }
    return found


def _spread(texts: Sequence[str]) -> Sequence[str]:
    """At most `MAX_TEXTS` of the texts, at even steps: the same set gives the same figure."""
    if len(texts) <= MAX_TEXTS:
        return texts
    return [texts[i * len(texts) // MAX_TEXTS] for i in range(MAX_TEXTS)]


def _distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams over all n-grams; 0.0 without any."""
    num = 0
    grams: set[tuple[str, ...]] = set()
    for words in texts:
        num += max(len(words) - n + 1, 0)
        grams.update(zip(*(words[i:] for i in range(n)), strict=False))
    return len(grams) / num if num else 0.0
