"""What a source yields: a file's bytes, or a file it would not read."""

from dataclasses import dataclass

from builder.images.vetting import Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image.

    Args:
        name: For people: the file's path inside the source.
        data: The whole file.
        source: Where it came from, as published; `name` where that says it.
        group: Unit of the split; None lets the store decide by look.
        licence: None where the source does not state one.
        languages: See `builder.images.store.ImageRecord`.
    """

    name: str
    data: bytes
    source: str
    group: str | None = None
    licence: str | None = None
    languages: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that was not read, and why."""

    name: str
    reason: Reason
    what: str
