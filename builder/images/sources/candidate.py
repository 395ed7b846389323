"""What a source yields: a file's bytes, a refused file, or one that is in the store already."""

from dataclasses import dataclass

from builder.images.vetting import Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image.

    Args:
        name: The file's path inside the source, for people.
        data: The whole file.
        source: Its origin, as published; often the same as `name`.
        group: Unit of the split; if None, the store groups by perceptual hash.
        licence: None if the source does not state one.
        languages: See `builder.images.store.ImageRecord`.
        caption: Text that came with it; data, whatever it says.
        alt_text: The same of its alternative text.
        fetched_from: The URL it was downloaded from, if it was.
    """

    name: str
    data: bytes
    source: str
    group: str | None = None
    licence: str | None = None
    languages: tuple[str, ...] | None = None
    caption: str | None = None
    alt_text: str | None = None
    fetched_from: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that was not read, and why; `fetched_from` if that URL need not be tried again."""

    name: str
    reason: Reason
    what: str
    fetched_from: str | None = None


@dataclass(frozen=True, slots=True)
class PresentFile:
    """A file that an earlier run added, and that was therefore not fetched again."""

    name: str


Entry = Candidate | RefusedFile | PresentFile


def too_many_bytes(name: str, num_bytes: int, max_bytes: int) -> RefusedFile:
    """A refusal of a file that is larger than the limit."""
    return RefusedFile(name, "too_many_bytes", f"{num_bytes:,} bytes, the limit is {max_bytes:,}")
