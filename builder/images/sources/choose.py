"""Detects the kind of source that a user named, and opens it."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from builder.images.sources.bundled import read_pictograms
from builder.images.sources.candidate import Candidate, RefusedFile
from builder.images.sources.datasets_repo import read_dataset
from builder.images.sources.folder import IMAGE_SUFFIXES, read_folder, read_image
from builder.images.sources.tables import read_parquet
from builder.images.sources.webdataset import read_tars
from schemas.errors import PolysceneError

Kind = Literal["pictograms", "folder", "file", "webdataset", "parquet", "dataset"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")


class SourceError(PolysceneError):
    """A source does not exist, or has no images."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source.

    Args:
        kind: Its kind, given or detected.
        files: Its files, read one by one as they are requested.
        num_files: Their number, if it is cheap to find.
    """

    kind: Kind
    files: Iterator[Candidate | RefusedFile]
    num_files: int | None = None


def open_source(
    name: str,
    max_bytes: int,
    *,
    kind: Kind | None = None,
    group_by_folder: bool = False,
    image_column: str | None = None,
    config: str | None = None,
    split: str = "train",
) -> Source:
    """Opens "pictograms", a folder, an image, tars, Parquet files, or a dataset on the Hub.

    Args:
        name: A path, `owner/name`, or "pictograms".
        max_bytes: Largest file to read.
        kind: Detected if None.
        group_by_folder: For a folder: images of one subfolder form one group.
        image_column: For Parquet and datasets: the column of images.
        config: Of a dataset on the Hub.
        split: Of a dataset.

    Raises:
        SourceError: There is no such source.
    """
    path = Path(name)
    kind = kind or _kind_of(name, path)
    if kind == "pictograms":
        return Source(kind, read_pictograms())
    if kind == "dataset":
        files = read_dataset(name, max_bytes, config=config, split=split, column=image_column)
        return Source(kind, files)
    if not path.exists():
        raise SourceError(f"{name}: no such file or folder. Name an existing one.")
    if kind == "webdataset":
        return Source(kind, read_tars(_files(path, _TAR_SUFFIXES), max_bytes))
    if kind == "parquet":
        paths = _files(path, (".parquet",))
        return Source(kind, read_parquet(paths, max_bytes, image_column), _num_rows(paths))
    if kind == "file":
        if not path.is_file():
            raise SourceError(f"{name}: not a file. Name an image file, or use --kind folder.")
        return Source(kind, iter([read_image(path, max_bytes)]), 1)
    if not path.is_dir():
        raise SourceError(f"{name}: a file, not a folder. Name the folder that holds it.")
    num_files = sum(entry.suffix.lower() in IMAGE_SUFFIXES for entry in path.rglob("*"))
    return Source(kind, read_folder(path, max_bytes, group_by_folder=group_by_folder), num_files)


def _kind_of(name: str, path: Path) -> Kind:
    if not path.exists():
        if name == "pictograms":
            return "pictograms"
        if name.count("/") == 1 and not name.startswith((".", "/", "~")):
            return "dataset"
        raise SourceError(
            f"{name}: no such file or folder. Name a folder, an image, tars, Parquet files, "
            "a dataset on the Hub (owner/name), or `pictograms`."
        )
    if not path.is_dir():
        return _kind_of_file(path)
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return "dataset"
    if any(path.glob("*.tar")):
        return "webdataset"
    if any(path.rglob("*.parquet")):
        return "parquet"
    return "folder"


def _kind_of_file(path: Path) -> Kind:
    """By the suffix, else by the first bytes."""
    name = path.name.lower()
    if name.endswith(".parquet"):
        return "parquet"
    if name.endswith(_TAR_SUFFIXES):
        return "webdataset"
    if path.suffix.lower() in IMAGE_SUFFIXES or not path.is_file():
        return "file"
    with path.open("rb") as handle:
        if handle.read(4) == b"PAR1":
            return "parquet"
    return "webdataset" if tarfile.is_tarfile(path) else "file"


def _files(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(entry for entry in path.rglob("*") if entry.name.lower().endswith(suffixes))
    if not found:
        raise SourceError(f"{path}: it has no {suffixes[0]} file. Name another folder or --kind.")
    return found


def _num_rows(paths: list[Path]) -> int | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return sum(pq.read_metadata(path).num_rows for path in paths)
    except (OSError, pa.ArrowInvalid):
        return None
