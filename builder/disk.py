"""Files that are safe: on the disk, sealed, or held by one process alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def seal(directory: Path) -> None:
    """Makes every file below read-only, and waits until all of it is on the disk.

    Files come before the folders that name them.
    """
    for folder, _, names in os.walk(directory, topdown=False):
        for name in names:
            path = Path(folder) / name
            path.chmod(0o444)
            sync(path)
        sync(Path(folder))


@contextmanager
def held(path: Path, taken: Exception) -> Iterator[None]:
    """Holds a file's lock, which the system gives back even after kill -9.

    Args:
        path: The file; made when missing, never changed.
        taken: Raised when another process holds it.
    """
    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise taken from exc
        yield
