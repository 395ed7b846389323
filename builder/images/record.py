"""Facts about one stored image, and their row in the store."""

from dataclasses import dataclass
from typing import Any

from builder.images.vetting import EXTENSIONS

#: Columns of the store's table, in the order of `ImageRecord`.
COLUMNS = "sha256, format, width, height, num_bytes, phash, image_group, licence, source, languages"


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """Facts about a stored image.

    Args:
        sha256: Hash of its bytes, by which it is named everywhere.
        format: "JPEG", "PNG", "WEBP" or "GIF", by content.
        phash: 64-bit difference hash, 16 hex digits.
        group: Images of one group are all in the same split.
        licence: As the source states it; "unknown" if it does not.
        source: Where it came from: a URL, or a path inside what was added.
        languages: Codes of the languages it can be written about; None for
            any. Only a corpus with a lexicon of its own restricts them.
    """

    sha256: str
    format: str
    width: int
    height: int
    num_bytes: int
    phash: str
    group: str
    licence: str
    source: str
    languages: tuple[str, ...] | None = None

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> "ImageRecord":
        """Reads a row of `COLUMNS`."""
        *facts, languages = row
        return cls(*facts, languages=None if languages is None else tuple(languages.split()))

    def to_row(self) -> tuple[Any, ...]:
        """The row of `COLUMNS`."""
        facts = (self.sha256, self.format, self.width, self.height, self.num_bytes, self.phash)
        languages = None if self.languages is None else " ".join(self.languages)
        return (*facts, self.group, self.licence, self.source, languages)

    @property
    def ext(self) -> str:
        return EXTENSIONS[self.format]

    @property
    def file_name(self) -> str:
        """The name it is stored and published under."""
        return f"{self.sha256}.{self.ext}"


def printable(text: str) -> str:
    """Text for SQLite, Parquet and terminals: no unpaired surrogates or control characters."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
