"""Writing systems: the letters that a language is written in."""

import re
import unicodedata
from functools import cache

from schemas.vocabulary import Language

#: Code points of the scripts the 93 languages use, letters and marks (Unicode 16, Scripts.txt).
_RANGES: dict[str, str] = {
    "Arab": "0600-06FF 0750-077F 0870-08FF FB50-FDFF FE70-FEFC",
    "Armn": "0530-058F FB13-FB17",
    "Beng": "0980-09FF",
    "Cyrl": "0400-052F 1C80-1C8F 1D2B 2DE0-2DFF A640-A69F",
    "Deva": "0900-0963 0966-097F 1CD0-1CFF A8E0-A8FF",
    "Ethi": "1200-139F 2D80-2DDF AB00-AB2F",
    "Geor": "10A0-10FF 1C90-1CBF 2D00-2D2F",
    "Grek": "0370-03FF 1F00-1FFF",
    "Gujr": "0A80-0AFF",
    "Guru": "0A00-0A7F",
    "Hang": "1100-11FF 3130-318F A960-A97F AC00-D7FF",
    "Hani": "2E80-2FDF 3005-3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FAFF 20000-323AF",
    "Bopo": "3100-312F 31A0-31BF",
    "Hebr": "0590-05FF FB1D-FB4F",
    "Kana": "3040-30FF 31F0-31FF FF66-FF9F",
    "Khmr": "1780-17FF 19E0-19FF",
    "Knda": "0C80-0CFF",
    "Laoo": "0E80-0EFF",
    "Latn": "0041-005A 0061-007A 00AA 00BA 00C0-00D6 00D8-00F6 00F8-02B8 1D00-1D2A 1D2C-1DBF"
    " 1E00-1EFF 2C60-2C7F A720-A7FF AB30-AB6F FB00-FB06 FF21-FF3A FF41-FF5A",
    "Mlym": "0D00-0D7F",
    "Mymr": "1000-109F A9E0-A9FF AA60-AA7F",
    "Orya": "0B00-0B7F",
    "Sinh": "0D80-0DFF",
    "Taml": "0B80-0BFF",
    "Telu": "0C00-0C7F",
    "Thai": "0E00-0E7F",
    # Not used by the 93 languages: Syriac, Thaana, N'Ko, Tibetan, Cherokee, Canadian syllabics,
    # Ogham, runes, Mongolian.
    "Zyyy": "0700-074F 0780-07FF 0F00-0FFF 13A0-13FF 1400-16FF 1800-18AF",
}
#: Scripts of ISO 15924 that combine several of the above.
_COMPOSED: dict[str, tuple[str, ...]] = {
    "Hans": ("Hani", "Bopo"),
    "Hant": ("Hani", "Bopo"),
    "Jpan": ("Kana", "Hani"),
    "Kore": ("Hang", "Hani"),
}
#: Latin words that any language uses as they are: initials, units, model numbers, iPhone.
_BORROWED = re.compile(
    r"\b(?=\w*\d|\w+[A-Z])\w+\b|\b[A-Za-z]\b|(?<=\d[ \u00A0\u202F])[A-Za-z]{2}\b", re.ASCII
)
#: Names in Latin letters, which are allowed within a text of the language.
_NAMES = re.compile(r"\b(?=\w*\d|\w*[A-Z])\w+\b|\b[a-z]\b", re.ASCII)
_MAX_FOREIGN_SHARE = 0.5
#: More Chinese characters in a row than a name or a borrowed word has.
_HANI = re.compile(r"[\u3400-\u4DBF\u4E00-\u9FFF]{7}")


def has_wrong_script(text: str, language: Language) -> bool:
    """Whether most letters are of scripts the language is not written in.

    One word is enough. Initials, units and model numbers in Latin letters are
    not counted, as every language borrows them, nor are Latin names beside
    words in the language's own script.
    """
    if not _foreign_letters(language.scripts).search(text):
        return False
    own, foreign = _count(text, language)
    if foreign > own and "Latn" not in language.scripts:
        borrowed = _NAMES if own else _BORROWED
        own, foreign = _count(borrowed.sub(" ", text), language)
    return foreign > (own + foreign) * _MAX_FOREIGN_SHARE


def is_written_without_spaces(text: str) -> bool:
    """Whether a text is long and of Chinese characters: Korean borrows them, for single words."""
    return _HANI.search(text) is not None


def _count(text: str, language: Language) -> tuple[int, int]:
    foreign = sum(map(len, _foreign_letters(language.scripts).findall(text)))
    total = sum(map(str.isalpha, text)) + sum(unicodedata.category(char)[0] == "M" for char in text)
    return max(total - foreign, 0), foreign


@cache
def _foreign_letters(scripts: tuple[str, ...]) -> re.Pattern[str]:
    """Runs of letters of the scripts above that are not of `scripts`."""
    own = {part for script in scripts for part in _COMPOSED.get(script, (script,))}
    others = " ".join(ranges for script, ranges in _RANGES.items() if script not in own)
    pieces: list[str] = []
    for piece in others.split():
        first, _, last = piece.partition("-")
        low, high = int(first, 16), int(last or first, 16)
        pieces.append(f"{re.escape(chr(low))}-{re.escape(chr(high))}")
    return re.compile(f"[{''.join(pieces)}]+")
