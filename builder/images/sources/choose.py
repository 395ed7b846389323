"""Detects the kind of source that a user named, and opens it."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from builder.images.sources.bundled import read_pictograms
from builder.images.sources.candidate import Entry
from builder.images.sources.datasets_repo import read_dataset
from builder.images.sources.folder import IMAGE_SUFFIXES, read_folder, read_image
from builder.images.sources.table_kinds import has_image_column, has_url_column, num_rows
from builder.images.sources.tables import read_parquet
from builder.images.sources.url_tables import UrlOptions, read_url_tables
from builder.images.sources.webdataset import read_tars
from schemas.errors import PolysceneError

Kind = Literal["pictograms", "folder", "file", "webdataset", "parquet", "urls", "dataset"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
TABLE_SUFFIXES = (".parquet",)


class SourceError(PolysceneError):
    """A source does not exist, or has no images."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source.

    Args:
        kind: Its kind, given or detected.
        files: Its files, read one by one as they are requested.
        num_files: Their number, if it is cheap to find.
        note: What the user should know, such as files of another kind that are not read.
    """

    kind: Kind
    files: Iterator[Entry]
    num_files: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """The files of a folder by what they may be: counts, and paths in order."""

    num_images: int
    tars: list[Path]
    tables: list[Path]


def open_source(
    name: str,
    max_bytes: int,
    *,
    kind: Kind | None = None,
    group_by_folder: bool = False,
    image_column: str | None = None,
    config: str | None = None,
    split: str = "train",
    urls: UrlOptions | None = None,
) -> Source:
    """Opens "pictograms", a folder, an image, tars, Parquet files, or a dataset on the Hub.

    Args:
        name: A path, `owner/name`, or "pictograms".
        max_bytes: Largest file to read.
        kind: Detected if None.
        group_by_folder: For a folder: images of one subfolder form one group.
        image_column: For Parquet and datasets: the column of images, or of their URLs.
        config: Of a dataset on the Hub.
        split: Of a dataset.
        urls: How images are downloaded, for tables of URLs.

    Raises:
        SourceError: There is no such source.
    """
    path = Path(name)
    found = _search(path) if path.is_dir() else _Found(0, [], [])
    kind, note = (kind, None) if kind else _kind_of(name, path, found, image_column)
    if kind == "pictograms":
        return Source(kind, read_pictograms())
    if kind == "dataset":
        files = read_dataset(name, max_bytes, config=config, split=split, column=image_column)
        return Source(kind, files)
    if not path.exists():
        raise SourceError(f"{name}: no such file or folder. Name an existing one.")
    root = path if path.is_dir() else None
    if kind == "webdataset":
        paths = _files(path, found.tars, ".tar")
        return Source(kind, read_tars(paths, max_bytes, root), note=note)
    if kind == "parquet":
        paths = _files(path, found.tables, ".parquet")
        files = read_parquet(paths, max_bytes, image_column, root)
        return Source(kind, files, num_rows(paths), note)
    if kind == "urls":
        paths = _files(path, found.tables, ".parquet")
        files = read_url_tables(paths, max_bytes, image_column, root, urls or UrlOptions())
        return Source(kind, files, num_rows(paths), note)
    if kind == "file":
        if not path.is_file():
            raise SourceError(f"{name}: not a file. Name an image file, or use --kind folder.")
        return Source(kind, iter([read_image(path, max_bytes)]), 1)
    if not path.is_dir():
        raise SourceError(f"{name}: a file, not a folder. Name the folder that holds it.")
    files = read_folder(path, max_bytes, group_by_folder=group_by_folder)
    return Source(kind, files, found.num_images, note)


def _kind_of(name: str, path: Path, found: _Found, column: str | None) -> tuple[Kind, str | None]:
    """The kind of a source, and what is not read of it."""
    if not path.exists():
        if name == "pictograms":
            return "pictograms", None
        if name.count("/") == 1 and not name.startswith((".", "/", "~")):
            return "dataset", None
        raise SourceError(
            f"{name}: no such file or folder. Name a folder, an image, tars, Parquet files, "
            "a dataset on the Hub (owner/name), or `pictograms`."
        )
    if not path.is_dir():
        return _kind_of_file(path, column), None
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return "dataset", None
    return _kind_of_folder(found, column)


def _kind_of_folder(found: _Found, column: str | None) -> tuple[Kind, str | None]:
    """Tars, then tables with images, image files, tables of URLs.

    Metadata tables lie beside the images in every layout of img2dataset, so a
    table counts by what it holds.
    """
    beside = f"{found.num_images:,} image files lie beside them; add those with --kind folder"
    note = beside if found.num_images else None
    if found.tars:
        return "webdataset", note
    if found.tables and any(has_image_column(path, column) for path in found.tables):
        return "parquet", note
    if found.num_images or not found.tables:
        return "folder", None
    if any(has_url_column(path, column) for path in found.tables):
        return "urls", None
    return "parquet", None


def _kind_of_file(path: Path, column: str | None) -> Kind:
    """By the suffix, else by the first bytes."""
    name = path.name.lower()
    if name.endswith(TABLE_SUFFIXES):
        return _kind_of_table(path, column)
    if name.endswith(TAR_SUFFIXES):
        return "webdataset"
    if path.suffix.lower() in IMAGE_SUFFIXES or not path.is_file():
        return "file"
    with path.open("rb") as handle:
        if handle.read(4) == b"PAR1":
            return _kind_of_table(path, column)
    return "webdataset" if tarfile.is_tarfile(path) else "file"


def _kind_of_table(path: Path, column: str | None) -> Kind:
    is_list = not has_image_column(path, column) and has_url_column(path, column)
    return "urls" if is_list else "parquet"


def _search(root: Path) -> _Found:
    """The files below a folder; links to folders are not followed."""
    found = _Found(0, [], [])
    num_images = 0
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(names):
            lower = name.lower()
            num_images += lower.endswith(tuple(IMAGE_SUFFIXES))
            if lower.endswith(TAR_SUFFIXES):
                found.tars.append(Path(folder) / name)
            elif lower.endswith(TABLE_SUFFIXES):
                found.tables.append(Path(folder) / name)
    return _Found(num_images, found.tars, found.tables)


def containers_below(path: Path, kind: Literal["webdataset", "parquet"]) -> list[Path]:
    """The tars or Parquet files that a path names, in order.

    Raises:
        SourceError: There are none.
    """
    found = _search(path) if path.is_dir() else _Found(0, [], [])
    if kind == "webdataset":
        return _files(path, found.tars, ".tar")
    return _files(path, found.tables, ".parquet")


def _files(path: Path, found: list[Path], suffix: str) -> list[Path]:
    if path.is_file():
        return [path]
    if not found:
        raise SourceError(f"{path}: it has no {suffix} file. Name another folder or --kind.")
    return sorted(found)
