"""A file that a worker has checked, hashed and brought into the normal form."""

from dataclasses import dataclass

from builder.images.record import Original
from builder.images.vetting import Vetted


@dataclass(frozen=True, slots=True)
class StagedFile:
    """What the store needs to know of a file whose bytes are elsewhere.

    Args:
        came_as: Hash of the file, and its size.
        sha256: Hash of the normal form, and its size.
        vetted: Facts; its `data` is empty where the worker wrote the normal form into the store.
    """

    came_as: str
    num_came_bytes: int
    sha256: str
    num_bytes: int
    vetted: Vetted

    @property
    def is_unchanged(self) -> bool:
        """Whether the file was in the normal form already."""
        return self.came_as == self.sha256

    @property
    def original(self) -> Original:
        """The file as it came."""
        vetted = self.vetted
        size = vetted.original_width, vetted.original_height
        return Original(self.came_as, vetted.original_format, *size, self.num_came_bytes)
