"""Texts that came with images, as a teacher may be shown them: fenced, for anybody wrote them."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from builder.images.record import MAX_SHOWN_CHARS
from schemas.vocabulary import ImageRole

#: Lines that enclose the texts. No text can close the fence: each is a JSON string on one line
#: that says whose it is, and the words of the fence are taken out of it.
FENCE = ("BEGIN UNTRUSTED TEXT", "END UNTRUSTED TEXT")
_FENCE_WORD = "UNTRUSTED TEXT"
#: Brackets by which chat templates and image placeholders are told (`<|im_end|>`, `[INST]`,
#: `<image>`), and what a reader takes for the same.
_HARMLESS = str.maketrans("<>[]{}|`", "‹›()()¦'")
#: A character that cannot be printed, as the image store writes it.
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")


@dataclass(frozen=True, slots=True)
class ImageText:
    """What came with an image, made harmless; both may be empty.

    Args:
        caption: At most `MAX_SHOWN_CHARS`, on one line.
        alt_text: The same; empty where it says what the caption does.
    """

    caption: str
    alt_text: str

    @classmethod
    def of(cls, caption: str | None, alt_text: str | None) -> "ImageText":
        """Takes the texts as the source gave them."""
        shown, alternative = harmless(caption or ""), harmless(alt_text or "")
        return cls(shown, "" if alternative == shown else alternative)

    @property
    def as_published(self) -> str | None:
        """Both in one text for a row's provenance; None where nothing was shown."""
        return " / ".join(filter(None, (self.caption, self.alt_text))) or None


def harmless(text: str) -> str:
    """One line without control and format characters, brackets of templates, or the fence."""
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text[: 4 * MAX_SHOWN_CHARS])
    kept = "".join(" " if _is_hidden(char) else char for char in text)
    line = " ".join(kept.translate(_HARMLESS).split())
    while (at := line.upper().find(_FENCE_WORD)) >= 0:
        line = f"{line[:at]}…{line[at + len(_FENCE_WORD) :]}"
    return line if len(line) <= MAX_SHOWN_CHARS else f"{line[: MAX_SHOWN_CHARS - 1]}…"


def fenced_lines(texts: Mapping[ImageRole, ImageText]) -> list[str]:
    """The lines between the fences: whose text, and the text as a JSON string.

    Args:
        texts: By the role of the image.
    """
    return [
        f"{role} image, {kind}: {orjson.dumps(value).decode()}"
        for role, text in texts.items()
        for kind, value in (("caption", text.caption), ("alternative text", text.alt_text))
        if value
    ]


def _is_hidden(char: str) -> bool:
    """Control, format, private and unassigned characters: none is seen, some turn the text."""
    # The joiners that scripts and emoji need are format characters too.
    return unicodedata.category(char).startswith("C") and char not in "\u200c\u200d"
