"""Tar files as WebDataset streams them: a JSON file and the images of each sample.

One series of tars per config, modality combination and split, so that every
sample of a series has the same files: `datasets` derives the columns from the
first five samples and ignores others.
"""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

import io
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from builder.progress import Progress
from builder.publish.exports.readme import DataFiles, write_readme
from builder.publish.exports.target import (
    Exported,
    Source,
    open_source,
    whole_directory,
)
from schemas.features import SAMPLE_SCHEMA, image_columns_of, leaf_columns
from schemas.shards import read_records

_TAR_BYTES = 500_000_000
_IMAGE_COLUMNS = frozenset(image_columns_of(SAMPLE_SCHEMA))
#: The columns that decide the names of a series' files; of an image only its name is read.
_SHAPE_COLUMNS = [
    column
    for column in leaf_columns(SAMPLE_SCHEMA, image_bytes=False)
    if column.partition(".")[0] in {"modality", "alignment", *_IMAGE_COLUMNS}
]


def export_webdataset(release: Path, target: Path, progress: Progress) -> Exported:
    """Writes `<config>-<modality>-<split>-000000.tar`, …; a sample's files share its id.

    Args:
        release: Release directory.
        target: New directory.
        progress: Called as rows are written.
    """
    source = open_source(release, progress)
    shapes = _shapes(source)
    series: dict[tuple[str, str], _Series] = {}
    num_rows = 0
    with whole_directory(target) as staging:
        try:
            for entry, record in source.rows():
                config = _config_of(entry.config, record)
                key = config, entry.split
                if key not in series:
                    series[key] = _Series(staging, f"{config}-{entry.split}", shapes[config])
                series[key].add(record)
                num_rows += 1
        finally:
            for tars in series.values():
                tars.close()
        num_files = sum(tars.num_tars for tars in series.values())
        num_files += write_readme(staging, source, _data_files(series), _NOTE)
    how = f'load_dataset("{target}", "{min(shapes)}")'
    return Exported(target, num_rows, num_files, how)


_NOTE = (
    "as WebDataset: one series of tar files a config, modality combination and split. `ID.json` "
    "holds a sample's texts and scores, `ID.query.*`, `ID.positive.*` and `ID.negative_0.*` its "
    "images. Where images of one series are of several formats, all bear the ending of the "
    "commonest, since readers want one name a column; decoders go by the content. `alignment` is "
    "left out of a series in which some sample has none."
)


@dataclass(slots=True)
class _Shape:
    """What the samples of a config and modality combination have in common.

    Args:
        suffixes: How many images of each role have which suffix.
        is_aligned: Whether every sample has an alignment.
    """

    suffixes: dict[str, Counter[str]] = field(default_factory=dict)
    is_aligned: bool = True

    def suffix(self, role: str) -> str:
        """The most common suffix; among equals, the first in alphabetical order."""
        return min(self.suffixes[role].items(), key=lambda item: (-item[1], item[0]))[0]


def _shapes(source: Source) -> dict[str, _Shape]:
    shapes: dict[str, _Shape] = {}
    for entry in source.shards():
        for record in read_records(source.directory / entry.path, _SHAPE_COLUMNS):
            shape = shapes.setdefault(_config_of(entry.config, record), _Shape())
            shape.is_aligned &= record["alignment"] is not None
            for role, image in _images(record):
                shape.suffixes.setdefault(role, Counter())[Path(image["path"]).suffix] += 1
    return shapes


def _config_of(config: str, record: dict[str, Any]) -> str:
    return f"{config}-{record['modality'].replace('->', '2')}"


def _images(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Role and image, as `negative_0`; absent ones left out."""
    images = [("query", record["query_image"]), ("positive", record["positive_image"])]
    images += [(f"negative_{i}", image) for i, image in enumerate(record["negative_images"])]
    return ((role, image) for role, image in images if image is not None)


def _data_files(series: dict[tuple[str, str], "_Series"]) -> DataFiles:
    files: DataFiles = {}
    for config, split in sorted(series):
        files.setdefault(config, {})[split] = f"{config}-{split}-*.tar"
    return files


class _Series:
    """The tars of one config, modality combination and split, one open at a time."""

    def __init__(self, directory: Path, name: str, shape: _Shape) -> None:
        self.num_tars = 0
        self._directory = directory
        self._name = name
        self._shape = shape
        self._tar: tarfile.TarFile | None = None
        self._num_bytes = 0

    def add(self, record: dict[str, Any]) -> None:
        """The row's JSON, then its images in order of role."""
        if self._tar is None or self._num_bytes > _TAR_BYTES:
            self._tar = self._next()
        left_out = _IMAGE_COLUMNS if self._shape.is_aligned else {*_IMAGE_COLUMNS, "alignment"}
        texts = {name: value for name, value in record.items() if name not in left_out}
        self._write(self._tar, f"{record['id']}.json", orjson.dumps(texts))
        for role, image in _images(record):
            suffix = self._shape.suffix(role)
            self._write(self._tar, f"{record['id']}.{role}{suffix}", image["bytes"])

    def close(self) -> None:
        if self._tar is not None:
            self._tar.close()

    def _next(self) -> tarfile.TarFile:
        self.close()
        path = self._directory / f"{self._name}-{self.num_tars:06d}.tar"
        self.num_tars += 1
        self._num_bytes = 0
        return tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)

    def _write(self, tar: tarfile.TarFile, name: str, data: bytes) -> None:
        # No time and no user in the header, so that the same release gives the same tars.
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        self._num_bytes += len(data)
