"""Checks that a hard negative is neither the positive again nor recognisable by its form."""

import re

from schemas.text_rules.candidate import Candidate

#: Arabic and Hebrew vowel points and Arabic tatweel: written or left out without change of meaning.
_OPTIONAL_MARKS = re.compile("[\u064b-\u0652\u0640\u0591-\u05c7]")
_SPACE_BUT_BETWEEN_DIGITS = re.compile(r"(?<!\d) | (?!\d)")
#: From this length on, a text that contains the other says the same and more.
_MIN_CONTAINING_CHARS = 40
#: From this length on, one more letter at a word's end is an inflection.
_MIN_INFLECTED_CHARS = 20
#: A document this many times longer than the other, by this many characters, is recognisable.
_MAX_LENGTH_RATIO, _MIN_LENGTH_GAP = 5, 80


def negative_equals_positive(candidate: Candidate) -> str | None:
    """Differs from the positive in case, width, punctuation or spaces at most."""
    if candidate.negative is None:
        return None
    return "negative_equals_positive" if candidate.negative == candidate.positive else None


def negative_equals_query(candidate: Candidate) -> str | None:
    """Repeats the query: such a negative is the nearest document by its letters alone."""
    same = candidate.negative is not None and candidate.negative == candidate.query
    return "negative_equals_query" if same else None


def near_duplicate_negative(candidate: Candidate) -> str | None:
    """Differs from the positive in nothing that changes the meaning, so it is right as well.

    A good hard negative often differs in a single word, number or letter, so
    only four cases count: spaces, optional vowel points, one
    inflected word of a long text, and a long text inside the other.
    """
    positive, negative = candidate.positive, candidate.negative
    if positive is None or negative is None:
        return None
    short, long = sorted((positive, negative), key=len)
    if len(short) >= _MIN_CONTAINING_CHARS and short in long:
        return "near_duplicate_negative"
    if len(long) - len(short) <= 1 and _is_inflection(short, long):
        return "near_duplicate_negative"
    return "near_duplicate_negative" if _have_same_letters(positive, negative) else None


def lopsided_negative(candidate: Candidate) -> str | None:
    """Length alone tells positive from hard negative: a shortcut a model would learn."""
    draft = candidate.draft
    if draft.positive_text is None or draft.negative_text is None:
        return None
    short, long = sorted((len(draft.positive_text), len(draft.negative_text)))
    is_lopsided = long > short * _MAX_LENGTH_RATIO and long - short > _MIN_LENGTH_GAP
    return "lopsided_negative" if is_lopsided else None


def _have_same_letters(one: str, other: str) -> bool:
    """Whether two texts differ only in spaces and optional marks; `3 5` and `35` differ in more."""
    if _without_marks(one).replace(" ", "") != _without_marks(other).replace(" ", ""):
        return False
    joined = (_SPACE_BUT_BETWEEN_DIGITS.sub("", _without_marks(text)) for text in (one, other))
    return next(joined) == next(joined)


def _without_marks(text: str) -> str:
    return text if text.isascii() else _OPTIONAL_MARKS.sub("", text)


def _is_inflection(short: str, long: str) -> bool:
    """Whether `long` is `short` with one more Latin letter at the end of a word."""
    if len(short) < _MIN_INFLECTED_CHARS or len(long) != len(short) + 1:
        return False
    place = next(
        (i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    added_last = place + 1 == len(long) or long[place + 1] == " "
    follows_letter = place > 0 and long[place - 1].isalpha()
    return (
        added_last
        and follows_letter
        and long[place].isascii()
        and long[place].isalpha()
        and short[place:] == long[place + 1 :]
    )
