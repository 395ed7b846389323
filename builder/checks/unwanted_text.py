"""Finds texts with personal data or with words of a list; both are options of a build."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Literal

from schemas.text_rules.normal_form import CHARS_PER_WORD, contains, normalise

PersonalData = Literal["email", "phone", "card"]

#: Bounded repeats throughout, so that no text takes more than linear time.
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,4}[A-Za-z]{2,24}"
)
#: With a country code, or an area code in brackets or before a separator; years, prices, sizes and
#: codes of articles have neither.
_PHONE = re.compile(
    r"(?<![\w+.,-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){1,4}"
    r"|\(0?\d{2,4}\)[ .-]?\d{3,4}[ .-]?\d{3,4}"
    r"|0[1-9]\d{1,3}[ ./-]\d{3,4}[ .-]?\d{3,5}"
    r"|[2-9]\d{2}[.-][2-9]\d{2}[.-]\d{4})(?![\w-])"
)
_MIN_PHONE_DIGITS, _MAX_PHONE_DIGITS = 8, 15
_CARD = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])")
#: Reserved for examples and documentation, so nobody's: RFC 2606.
_EXAMPLE_DOMAINS = re.compile(
    r"@(?:.+\.)?(?:example\.(?:com|net|org)|[\w-]+\.(?:example|test|invalid))$"
)

_TEXT_FIELDS = ("query_text", "positive_text", "instruction")


def texts_of(row: Mapping[str, Any]) -> list[str]:
    """All texts of a sample: query, positive, hard negatives and instruction."""
    found = [row[name] for name in _TEXT_FIELDS] + list(row["negative_texts"])
    return [text for text in found if text]


def personal_data_in(text: str, kinds: Iterable[PersonalData]) -> PersonalData | None:
    """The first of these kinds of personal data that a text holds."""
    # Most texts hold neither an @ nor eight digits, and end here.
    may_hold = {"email": "@" in text}
    may_hold["phone"] = may_hold["card"] = sum(map(str.isdigit, text)) >= _MIN_PHONE_DIGITS
    for kind in kinds:
        if may_hold[kind] and _FINDERS[kind](text):
            return kind
    return None


def is_luhn(digits: str) -> bool:
    """Whether digits end in their check digit, as numbers of payment cards do.

    Source: ISO/IEC 7812-1, annex B.
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _has_email(text: str) -> bool:
    return any(not _EXAMPLE_DOMAINS.search(found[0].lower()) for found in _EMAIL.finditer(text))


def _has_phone(text: str) -> bool:
    for found in _PHONE.finditer(text):
        if _MIN_PHONE_DIGITS <= sum(map(str.isdigit, found[0])) <= _MAX_PHONE_DIGITS:
            return True
    return False


def _has_card(text: str) -> bool:
    for found in _CARD.finditer(text):
        digits = "".join(filter(str.isdigit, found[0]))
        # A digit that repeats throughout passes the sum and is no card.
        if digits.isascii() and is_luhn(digits) and any(a != b for a, b in pairwise(digits)):
            return True
    return False


_FINDERS: dict[PersonalData, Callable[[str], bool]] = {
    "email": _has_email,
    "phone": _has_phone,
    "card": _has_card,
}


class WordList:
    """Words and phrases that no text may hold, looked up whole and in normal form.

    Words of one to four words are found by a look-up for each place of a text, however long the
    list. In languages without spaces they are found anywhere in it.

    Args:
        words: As they are written; case, width and punctuation do not count.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._by_first: defaultdict[str, set[str]] = defaultdict(set)
        self._max_words = 1
        self._all = sorted({normal for word in words if (normal := normalise(word))})
        for word in self._all:
            self._by_first[word.split(" ", 1)[0]].add(word)
            self._max_words = max(self._max_words, word.count(" ") + 1)

    def find(self, text: str, language: str) -> str | None:
        """The first word of the list in a text, or None."""
        normal = normalise(text)
        if language in CHARS_PER_WORD:
            return next((word for word in self._all if contains(normal, word, language)), None)
        parts = normal.split()
        for place, part in enumerate(parts):
            if part not in self._by_first:
                continue
            for num in range(1, self._max_words + 1):
                phrase = " ".join(parts[place : place + num])
                if phrase in self._by_first[part]:
                    return phrase
        return None
