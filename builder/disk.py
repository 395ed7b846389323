"""Makes files safe: synced to disk, sealed, or locked for one process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's entries, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def seal(directory: Path) -> None:
    """Makes every file below read-only, and waits until everything is on disk.

    Files are synced before the folders that name them.
    """
    for folder, _, names in os.walk(directory, topdown=False):
        for name in names:
            path = Path(folder) / name
            path.chmod(0o444)
            sync(path)
        sync(Path(folder))


@contextmanager
def lock_file(path: Path, if_locked: Exception) -> Iterator[None]:
    """Locks a file; the system releases the lock even after kill -9.

    Args:
        path: The file; made if missing, never changed.
        if_locked: Raised if another process has locked it.
    """
    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise if_locked from exc
        yield
