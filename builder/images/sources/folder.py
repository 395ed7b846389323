"""A folder of image files, searched recursively, or a single one."""

import os
from collections.abc import Iterator
from pathlib import Path

from builder.images.sources.candidate import Candidate, RefusedFile

#: Files with other suffixes are skipped silently: notes, captions, thumbnail databases.
_NAMES = "jpg jpeg jpe jfif png webp gif bmp tif tiff avif heic"
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())


def read_folder(root: Path, max_bytes: int, *, group_by_folder: bool = False) -> Iterator:
    """Yields the image files below `root` in order of path.

    A link to a file inside `root` is followed, one that leaves it is refused;
    linked folders are not entered. Files above `max_bytes` are not read.

    Args:
        root: The folder.
        max_bytes: Largest file to read.
        group_by_folder: Whether images of one subfolder form one group.

    Yields:
        A `Candidate` or a `RefusedFile` for each file with an image's suffix.
    """
    resolved = root.resolve()
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            relative = path.relative_to(root).as_posix()
            group = f"folder:{path.parent.relative_to(root).as_posix()}"
            yield _read_file(
                path, relative, resolved, max_bytes, group if group_by_folder else None
            )


def read_image(path: Path, max_bytes: int) -> Candidate | RefusedFile:
    """Reads one image file that was named directly; a link is always followed."""
    return _read_file(path.resolve(), path.name, path.resolve().parent, max_bytes, None)


def _read_file(
    path: Path, name: str, root: Path, max_bytes: int, group: str | None
) -> Candidate | RefusedFile:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            return RefusedFile(name, "link_leaves_folder", "it links outside the folder")
        if not path.is_file():
            return RefusedFile(name, "unreadable", "it is not a plain file")
        size = path.stat().st_size
        if size > max_bytes:
            return RefusedFile(
                name, "too_many_bytes", f"{size:,} bytes, the limit is {max_bytes:,}"
            )
        return Candidate(name, path.read_bytes(), name, group)
    except (OSError, RuntimeError) as exc:  # RuntimeError: a loop of links
        why = getattr(exc, "strerror", None) or str(exc)
        return RefusedFile(name, "unreadable", f"it cannot be read ({why})")
