"""Facts about one stored image, and their row in the store."""

from dataclasses import dataclass
from typing import Any

from builder.images.vetting import EXTENSIONS

#: Columns of the store's table, in the order of `ImageRecord`.
COLUMNS = (
    "coalesce(stored_as, sha256), format, width, height, num_bytes, phash, image_group, licence, "
    "source, languages, sha256, is_normal, licence_id, caption, alt_text, original_sha256, "
    "original_format, original_width, original_height, original_bytes"
)


#: Of a caption or an alternative text, a model is shown this much.
MAX_SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class Original:
    """The file that an image was made from, where that was not in the normal form."""

    sha256: str
    format: str
    width: int
    height: int
    num_bytes: int

    def as_published(self) -> dict[str, Any]:
        """Its facts as a row's provenance names them."""
        return {
            "original_sha256": self.sha256,
            "original_format": self.format,
            "original_width": self.width,
            "original_height": self.height,
            "original_bytes": self.num_bytes,
        }


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """Facts about a stored image.

    Args:
        sha256: Hash of its bytes, by which it is stored and published.
        format: "JPEG", "PNG", "WEBP" or "GIF", by content.
        phash: 64-bit difference hash, 16 hex digits.
        group: Images of one group are all in the same split.
        licence: As the source states it; "unknown" if it does not.
        source: Where it came from: a URL, or a path inside what was added.
        languages: Codes of the languages it can be written about; None for
            any. Only a corpus with a lexicon of its own restricts them.
        name: Its hash in this workspace's plans and ledger. Differs from `sha256` only where
            the bytes were brought into the normal form later.
        is_normal: Whether the bytes are known to be in the normal form.
        licence_id: The licence as SPDX writes it, where it could be told.
        caption: Text that came with it; data, whatever it says.
        alt_text: The same of its alternative text.
        original: The file it was made from; None where that was normal already.
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
    name: str = ""
    is_normal: bool = True
    licence_id: str | None = None
    caption: str | None = None
    alt_text: str | None = None
    original: Original | None = None

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> "ImageRecord":
        """Reads a row of `COLUMNS`."""
        sha256, kind, width, height, num_bytes, phash, group, licence, source, languages = row[:10]
        name, is_normal, licence_id, caption, alt_text = row[10:15]
        return cls(
            sha256=sha256,
            format=kind,
            width=width,
            height=height,
            num_bytes=num_bytes,
            phash=phash,
            group=group,
            licence=licence,
            source=source,
            languages=None if languages is None else tuple(languages.split()),
            name=name,
            is_normal=bool(is_normal),
            licence_id=licence_id,
            caption=caption,
            alt_text=alt_text,
            original=None if row[15] is None else Original(*row[15:]),
        )

    def to_row(self) -> dict[str, Any]:
        """The row as the table has it, by column."""
        original = self.original
        name = self.name or self.sha256
        return {
            "sha256": name,
            "stored_as": None if name == self.sha256 else self.sha256,
            "format": self.format,
            "width": self.width,
            "height": self.height,
            "num_bytes": self.num_bytes,
            "phash": self.phash,
            "image_group": self.group,
            "licence": self.licence,
            "source": self.source,
            "languages": None if self.languages is None else " ".join(self.languages),
            "is_normal": self.is_normal,
            "licence_id": self.licence_id,
            "caption": self.caption,
            "alt_text": self.alt_text,
            "original_sha256": original and original.sha256,
            "original_format": original and original.format,
            "original_width": original and original.width,
            "original_height": original and original.height,
            "original_bytes": original and original.num_bytes,
        }

    @property
    def num_shown_chars(self) -> int:
        """Length of what a model is shown of its texts."""
        return sum(min(MAX_SHOWN_CHARS, len(text or "")) for text in (self.caption, self.alt_text))

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
