"""Bytes of a corpus' images: in memory up to a limit, the rest in an unlinked temporary file."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from weakref import finalize

from PIL import Image

from schemas.errors import naming
from schemas.pictures import read_picture

MAX_MEMORY_BYTES = 2**30


class ImageStore(Mapping[str, bytes]):
    """Image bytes by their sha256, equal images once; may be read and added to from any thread.

    Args:
        max_memory_bytes: What is kept in memory; later images go to a file.
        directory: Where that file is; it is unlinked as soon as it is created, so that
            nothing is left behind. None takes the system's temporary directory.
    """

    def __init__(
        self, *, max_memory_bytes: int = MAX_MEMORY_BYTES, directory: Path | None = None
    ) -> None:
        self._max_memory_bytes = max_memory_bytes
        self._directory = directory
        self._kept: dict[str, bytes | tuple[int, int]] = {}  # bytes, or offset and length
        self._lock = Lock()
        self._file: int | None = None  # its descriptor
        self._file_bytes = 0
        self._memory_bytes = 0

    def __getitem__(self, sha256: str) -> bytes:
        kept = self._kept[sha256]
        if isinstance(kept, bytes):
            return kept
        assert self._file is not None
        offset, length = kept
        return _pread(self._file, length, offset)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self._kept

    @property
    def num_bytes(self) -> tuple[int, int]:
        """In memory, and in the file."""
        return self._memory_bytes, self._file_bytes

    def add(self, data: bytes | memoryview) -> str:
        """Adds an image and returns its sha256; one that is there already is not copied.

        Raises:
            OSError: The file cannot be written; names the directory.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 in self._kept:
            return sha256
        with self._lock:
            if sha256 not in self._kept:
                self._kept[sha256] = self._keep(data)
        return sha256

    def picture(self, sha256: str, *, max_side_px: int | None = None) -> Image.Image:
        """The decoded picture, upright RGB on white.

        Raises:
            PictureError: It cannot be decoded.
            KeyError: There is no such image.
        """
        return read_picture(self[sha256], max_side_px=max_side_px)

    def _keep(self, data: bytes | memoryview) -> bytes | tuple[int, int]:
        if self._memory_bytes + len(data) <= self._max_memory_bytes:
            self._memory_bytes += len(data)
            return bytes(data)
        directory = self._directory or Path(tempfile.gettempdir())
        with naming(directory):
            if self._file is None:
                self._file = _nameless_file(directory)
                finalize(self, os.close, self._file)
            place = (self._file_bytes, len(data))
            _pwrite(self._file, data, self._file_bytes)
        self._file_bytes += len(data)
        return place


def _nameless_file(directory: Path) -> int:
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        return os.dup(file.fileno())


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = os.pread(descriptor, length, offset)
        if not part:
            raise OSError("the temporary file of images was cut short by another program")
        parts.append(part)
        length -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _pwrite(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
