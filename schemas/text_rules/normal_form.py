"""The form in which texts are compared, and whether one contains another."""

import re
import unicodedata
from functools import cache
from typing import overload

#: Languages without spaces between words: letters (without vowel signs) in an average word.
CHARS_PER_WORD = {"zh": 2, "ja": 2, "th": 4, "lo": 4, "km": 3, "my": 3}
#: Languages that put endings or particles on a noun, so that only its beginning is a boundary.
SUFFIXING = frozenset(
    (
        "az",
        "et",
        "eu",
        "fi",
        "hu",
        "ka",
        "kk",
        "kn",
        "ko",
        "ky",
        "ml",
        "mn",
        "ta",
        "te",
        "tr",
        "ug",
        "uz",
    )
)
_MIN_STEM_CHARS = 4
_END_OF_BMP = 0x10000
_ENOUGH_WORDS = 8


@overload
def normalise(text: str) -> str: ...
@overload
def normalise(text: None) -> None: ...
def normalise(text: str | None) -> str | None:
    r"""NFKC, case-folded, punctuation and format characters as single spaces.

    Letters, vowel signs, digits and symbols stay: in Python's `re` the vowel
    signs of Indic scripts are not word characters, so `\\W` would make different
    words equal.
    """
    if text is None:
        return None
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_separators().sub(" ", folded).split())


def contains(text: str, part: str, language: str) -> bool:
    """Whether normalised `text` contains normalised `part` as words of `language`."""
    if not part or part not in text:
        return False
    if language in CHARS_PER_WORD:
        return len(part) > 1
    if f" {part} " in f" {text} ":
        return True
    return (
        language in SUFFIXING
        and (len(part) >= _MIN_STEM_CHARS or language == "ko")
        and len(part) > 1
        and f" {part}" in f" {text}"
    )


def count_words(text: str, language: str) -> int:
    """Words with a letter in them, exact up to eight; by length where no spaces are written."""
    if language in CHARS_PER_WORD:
        return sum(map(str.isalpha, text)) // CHARS_PER_WORD[language]
    num_spaces = text.count(" ")
    if num_spaces >= _ENOUGH_WORDS:  # an exact figure is not needed, and most texts return here
        return num_spaces
    return sum([any(map(str.isalpha, word)) for word in text.split()])


@cache
def _separators() -> re.Pattern[str]:
    """Runs of punctuation, spaces, control and format characters."""
    ranges: list[str] = []
    start: int | None = None
    for code in range(_END_OF_BMP):
        category = unicodedata.category(chr(code))
        separates = category[0] in "PZ" or category in ("Cc", "Cf")
        if separates and start is None:
            start = code
        elif not separates and start is not None:
            ranges.append(f"{re.escape(chr(start))}-{re.escape(chr(code - 1))}")
            start = None
    return re.compile(f"[{''.join(ranges)}]+")
