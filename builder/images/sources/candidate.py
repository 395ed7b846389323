"""What a source yields: a file's bytes, or a refused file."""

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
