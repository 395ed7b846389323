"""Making what was written reach the disk."""

import os
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
