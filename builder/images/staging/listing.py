"""Lists a source as units, without reading images: few stay in memory however many there are."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from builder.engines import Storage
from builder.engines.storage import StoredFile
from builder.images.sources.choose import (
    TABLE_SUFFIXES,
    TAR_SUFFIXES,
    Kind,
    SourceError,
    containers_below,
)
from builder.images.sources.folder import IMAGE_SUFFIXES, SIDECAR_SUFFIXES, image_paths
from builder.images.staging.unit import Unit, UnitKind

FILES_PER_UNIT = 256


def local_units(path: Path, kind: UnitKind) -> Iterator[Unit]:
    """The units of a folder, a tar or a Parquet file on a disk, in the order they are read in."""
    path = path.absolute()
    if kind != "folder":
        root = path if path.is_dir() else path.parent
        files = containers_below(path, kind)
        for file in files:
            relative = file.relative_to(root).as_posix()
            yield Unit(kind, str(root), (relative,), version=_version([_stamp(file)]))
        return
    files = image_paths(path)
    while part := list(islice(files, FILES_PER_UNIT)):
        names = tuple(file.relative_to(path).as_posix() for file in part)
        yield Unit(kind, str(path), names, version=_version(map(_stamp, part)))


def remote_units(url: str, kind: Kind | None) -> tuple[UnitKind, Iterator[Unit]]:
    """Kind and units of what an address names: tars, else Parquet files, else image files.

    Raises:
        SourceError: It has none of these, or a kind was named that an address cannot have.
    """
    found = list(Storage(url).files())
    root = url
    if len(found) == 1 and url.endswith(found[0].path):  # a single file was named
        root = url[: -len(found[0].path)].rstrip("/")
    if kind is None:
        kind = _kind_of(found)
    if kind == "folder":
        return kind, _image_units(root, found)
    if kind not in ("webdataset", "parquet"):
        raise SourceError(
            f"{url}: files of an address are read as folder, webdataset or parquet, not {kind}."
        )
    suffixes = TAR_SUFFIXES if kind == "webdataset" else TABLE_SUFFIXES
    files = [file for file in found if file.path.lower().endswith(suffixes)]
    if not files:
        raise SourceError(f"{url}: it has no {suffixes[0]} file. Name another address or --kind.")
    units = (Unit(kind, root, (f.path,), version=_version([_stamp_of(f)])) for f in files)
    return kind, units


def _kind_of(found: list[StoredFile]) -> UnitKind:
    names = [file.path.lower() for file in found]
    if any(name.endswith(TAR_SUFFIXES) for name in names):
        return "webdataset"
    has_images = any(PurePosixPath(name).suffix in IMAGE_SUFFIXES for name in names)
    has_tables = any(name.endswith(TABLE_SUFFIXES) for name in names)
    return "parquet" if has_tables and not has_images else "folder"


def _image_units(root: str, found: list[StoredFile]) -> Iterator[Unit]:
    """Image files in the order of a walk, each unit with the files that lie beside its images."""
    names = {file.path for file in found}
    images = [f for f in found if PurePosixPath(f.path).suffix.lower() in IMAGE_SUFFIXES]
    images.sort(key=lambda file: _walk_order(file.path))
    for start in range(0, len(images), FILES_PER_UNIT):
        part = images[start : start + FILES_PER_UNIT]
        beside = sorted({name for file in part for name in _beside(file.path) if name in names})
        paths = tuple(file.path for file in part)
        version = _version([*map(_stamp_of, part), *beside])
        yield Unit("folder", root, paths, tuple(beside), version)


def _walk_order(path: str) -> tuple[tuple[str, ...], str]:
    """A folder's own files come before those of its subfolders, as in a walk of a disk."""
    parts = PurePosixPath(path).parts
    return parts[:-1], parts[-1]


def _beside(path: str) -> Iterator[str]:
    image = PurePosixPath(path)
    for suffix in SIDECAR_SUFFIXES:
        yield image.with_name(f"{image.stem}.{suffix}").as_posix()
    folder = image.parent
    if folder.name:
        yield folder.with_name(f"{folder.name}.parquet").as_posix()


def _stamp(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:  # a link to nothing; reading it says so
        return "missing"
    return f"{facts.st_size} {facts.st_mtime_ns}"


def _stamp_of(file: StoredFile) -> str:
    return f"{file.num_bytes} {file.version}"


def _version(stamps: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(stamps).encode("utf-8", "backslashreplace")).hexdigest()[:16]
