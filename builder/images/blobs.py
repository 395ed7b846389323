"""The files of an image store: each under its hash, complete or absent."""

import os
import threading
from pathlib import Path

from builder.disk import sync


class Blobs:
    """Writes files under their hash.

    Args:
        directory: Of the blobs; made as needed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pending: list[Path] | None = None

    def path(self, file_name: str) -> Path:
        return self.directory / file_name[:2] / file_name

    def write(self, file_name: str, data: bytes) -> None:
        """Writes a file; it is on disk when this returns, or in a batch when that ends."""
        path = self.path(file_name)
        write_atomically(path, data)
        if self._pending is None:
            sync(path)
            sync(path.parent)
        else:
            self._pending.append(path)

    def begin_batch(self) -> None:
        self._pending = []

    def sync_batch(self) -> None:
        """Waits until the batch's files are on disk: once for all, as an fsync takes some 5 ms."""
        if self._pending:
            os.sync()

    def end_batch(self) -> None:
        self._pending = None


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
