"""A folder of image files, searched recursively, or a single one.

JSON and text files of the same name say what is known of an image, as
img2dataset's `files` layout has them; so does a Parquet file named like the
folder, by the images' keys.
"""

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from builder.images.sources.candidate import Candidate, RefusedFile, too_many_bytes
from builder.images.sources.facts import Facts, facts_of, facts_of_json, facts_of_texts

#: Files with other suffixes are skipped silently: notes, captions, thumbnail databases.
_NAMES = "jpg jpeg jpe jfif png webp gif bmp tif tiff avif heic heif svg svgz jxl jp2"
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
_TEXT_SUFFIXES = ("txt", "caption", "alt", "url", "license", "licence")
#: Suffixes of files that say something of an image of the same name.
SIDECAR_SUFFIXES = ("json", *_TEXT_SUFFIXES)
_MAX_SIDECAR_BYTES = 1_000_000
#: A folder's table with more rows than this is not read into memory.
_MAX_TABLE_ROWS = 200_000


def read_folder(
    root: Path, max_bytes: int, *, group_by_folder: bool = False
) -> Iterator[Candidate | RefusedFile]:
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
    yield from read_files(root, image_paths(root), max_bytes, group_by_folder=group_by_folder)


def image_paths(root: Path) -> Iterator[Path]:
    """The files below a folder that have an image's suffix, in order of path."""
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if path.suffix.lower() in IMAGE_SUFFIXES:
                yield path


def read_files(
    root: Path, paths: Iterable[Path], max_bytes: int, *, group_by_folder: bool = False
) -> Iterator[Candidate | RefusedFile]:
    """Reads image files below a folder, as `read_folder` does, in the order given."""
    resolved = root.resolve()
    folder, present = None, frozenset()
    for path in paths:
        if path.parent != folder:
            folder = path.parent
            present = (
                frozenset(p.name for p in folder.iterdir()) if folder.is_dir() else frozenset()
            )
        relative = path.relative_to(root).as_posix()
        group = f"folder:{path.parent.relative_to(root).as_posix()}"
        facts = _facts(path, present, resolved)
        yield _read_file(
            path, relative, resolved, max_bytes, group if group_by_folder else None, facts
        )


def read_image(path: Path, max_bytes: int) -> Candidate | RefusedFile:
    """Reads one image file that was named directly; a link is always followed."""
    resolved = path.resolve()
    present = frozenset(name for suffix in SIDECAR_SUFFIXES if (name := f"{path.stem}.{suffix}"))
    facts = _facts(resolved, present, resolved.parent)
    return _read_file(resolved, path.name, resolved.parent, max_bytes, None, facts)


def _facts(path: Path, present: frozenset[str], root: Path) -> Facts:
    """What the files beside an image say of it."""
    facts = Facts()
    if f"{path.stem}.json" in present:
        facts = facts_of_json(_small_file(path.with_name(f"{path.stem}.json"), root))
    texts = {
        suffix: _small_file(path.with_name(f"{path.stem}.{suffix}"), root)
        for suffix in _TEXT_SUFFIXES
        if f"{path.stem}.{suffix}" in present
    }
    if texts:
        facts = facts.filled_from(facts_of_texts(texts))
    if facts.url is None or facts.licence is None:
        facts = facts.filled_from(_facts_by_key(path.parent, root).get(path.stem, Facts()))
    return facts


@lru_cache(2)  # a folder's images come one after the other
def _facts_by_key(folder: Path, root: Path) -> dict[str, Facts]:
    """The rows of `00000.parquet` beside folder `00000`, by their column `key`."""
    import pyarrow.parquet as pq

    path = folder.with_name(f"{folder.name}.parquet")
    if not path.is_file() or not path.resolve().is_relative_to(root):
        return {}
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > _MAX_TABLE_ROWS or "key" not in file.schema_arrow.names:
                return {}
            return {str(row["key"]): facts_of(row) for row in file.read().to_pylist()}
    except Exception:  # a damaged table costs facts, no image
        return {}


def _small_file(path: Path, root: Path) -> bytes:
    """A file beside an image; empty if it is large, no plain file, or a link out of the folder."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_SIDECAR_BYTES:
            return b""
        return path.read_bytes() if path.resolve().is_relative_to(root) else b""
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        return b""


def _read_file(
    path: Path, name: str, root: Path, max_bytes: int, group: str | None, facts: Facts
) -> Candidate | RefusedFile:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            return RefusedFile(name, "link_leaves_folder", "it links outside the folder")
        if not path.is_file():
            return RefusedFile(name, "unreadable", "it is not a plain file")
        size = path.stat().st_size
        if size > max_bytes:
            return too_many_bytes(name, size, max_bytes)
        data = path.read_bytes()
    except (OSError, RuntimeError) as exc:  # RuntimeError: a loop of links
        why = getattr(exc, "strerror", None) or str(exc)
        return RefusedFile(name, "unreadable", f"it cannot be read ({why})")
    return Candidate(
        name,
        data,
        facts.url or name,
        group,
        facts.licence,
        caption=facts.caption,
        alt_text=facts.alt_text,
    )
