"""A version's rows in a stable order: a small index in memory, rows and images read as asked."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import PolysceneError
from schemas.features import SAMPLE_SCHEMA, leaf_columns
from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.sample import Sample
from schemas.shards import ImageFile, parse_record
from schemas.versions import open_version
from schemas.vocabulary import CONFIG_OF_TASK

_KEYS = ("language", "task_type", "modality")
_NUM_ROWS_KEPT = 16
_ID = re.compile(r"[0-9a-f]{24}")

#: Leaf columns that decide a row's content; image bytes stay on disk.
_CONTENT_COLUMNS = leaf_columns(SAMPLE_SCHEMA, image_bytes=False)


class DatasetError(PolysceneError):
    """A release cannot be read as its manifest promises."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as published: the sample, its images by sha256, and where it stands."""

    sample: Sample
    images: dict[str, ImageFile]
    content_hash: str
    split: str


class VersionDataset:
    """The rows of one version, ordered by id: a stable order that mixes languages and tasks.

    Row numbers below count in that order, from 0. Memory holds ids and three
    small codes a row; images are read a row group at a time.

    Raises:
        DatasetError: A shard is missing or is not what the manifest says.
    """

    def __init__(self, directory: Path, manifest: ReleaseManifest) -> None:
        self.directory = directory
        self.manifest = manifest
        self.closing = Event()  # set when the app ends; long reads then stop
        configs = set(CONFIG_OF_TASK.values())
        self._shards = [shard for shard in manifest.shards if shard.config in configs]
        self._metadata = [self._read_footer(shard) for shard in self._shards]
        self._build_index()
        self.load = lru_cache(maxsize=_NUM_ROWS_KEPT)(self._load)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def ids(self) -> np.ndarray:
        """Ids by row number as bytes ("S24"), ascending."""
        return self._ids

    def row_of(self, sample_id: str) -> int | None:
        """Row number of a sample, or None where the version lacks it.

        Anything but an id is refused before numpy sees it: `searchsorted`
        widens every id in memory to the length of what it looks for.
        """
        if not _ID.fullmatch(sample_id):
            return None
        row = int(np.searchsorted(self._ids, sample_id.encode()))
        return row if row < len(self) and self.sample_id(row) == sample_id else None

    def sample_id(self, row: int) -> str:
        return self._ids[row].decode()

    def matching(self, **wanted: str | None) -> np.ndarray:
        """Mask over all rows; `matching(language="ar", task_type=None)`, None being any."""
        mask = np.ones(len(self), dtype=bool)
        for key, value in wanted.items():
            if value is not None:
                values, codes = self._columns[key]
                mask &= codes == (values.index(value) if value in values else -1)
        return mask

    def value(self, key: str, row: int) -> str:
        """Language, task type or modality of a row, from the index."""
        values, codes = self._columns[key]
        return values[codes[row]]

    def counts(self, key: str) -> dict[str, int]:
        """Rows by value of `language`, `task_type` or `modality`."""
        values, codes = self._columns[key]
        found = Counter(codes.tolist())
        return {value: found[code] for code, value in enumerate(values)}

    def content_hashes(self, rows: Sequence[int]) -> dict[int, str]:
        """Content hash by row number, without reading any image."""
        by_group: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for row in rows:
            shard, group, offset = self._place(row)
            by_group.setdefault((shard, group), []).append((row, offset))
        hashes = {}
        for (shard, group), members in sorted(by_group.items()):
            table = self._read_group(shard, group, _CONTENT_COLUMNS)
            for row, offset in members:
                record = _with_empty_images(table.slice(offset, 1).to_pylist()[0])
                sample, _ = parse_record(record, shard=self._shards[shard].path, row_index=row)
                hashes[row] = sample.content_hash
        return hashes

    def _load(self, row: int) -> Row:
        """A row with its images.

        Raises:
            RowError: The row breaks the contract.
        """
        shard, group, offset = self._place(row)
        record = self._read_group(shard, group, None).slice(offset, 1).to_pylist()[0]
        sample, images = parse_record(
            record, shard=self._shards[shard].path, row_index=int(self._index_in_shard[row])
        )
        return Row(sample, images, sample.content_hash, self._shards[shard].split)

    def _build_index(self) -> None:
        tables = [
            self._open(index).read(["id", *_KEYS]).append_column("shard", [[index] * rows])
            for index, rows in enumerate(metadata.num_rows for metadata in self._metadata)
        ]
        if not tables:
            raise DatasetError(f"{self.directory}: no rows to review. Name another version.")
        index = pa.concat_tables(tables)
        ids = np.asarray(index["id"].to_pylist(), dtype="S")
        order = np.argsort(ids, kind="stable")
        self._ids = ids[order]
        twice = np.flatnonzero(self._ids[1:] == self._ids[:-1])
        if len(twice):
            raise DatasetError(
                f'{self.directory}: id "{self.sample_id(int(twice[0]))}" stands there twice. '
                "Release again."
            )
        self._shard_of_row = np.asarray(index["shard"], dtype=np.int32)[order]
        counts = [metadata.num_rows for metadata in self._metadata]
        inside = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
        self._index_in_shard = inside[order]
        self._columns: dict[str, tuple[list[str], np.ndarray]] = {}
        for key in _KEYS:
            encoded = index[key].combine_chunks().dictionary_encode()
            codes = np.asarray(encoded.indices, dtype=np.int16)[order]
            self._columns[key] = (encoded.dictionary.to_pylist(), codes)
        self._group_starts = [
            np.cumsum([0, *(meta.row_group(g).num_rows for g in range(meta.num_row_groups))])
            for meta in self._metadata
        ]

    def _place(self, row: int) -> tuple[int, int, int]:
        """Shard, row group and position in it of a row."""
        shard, index = int(self._shard_of_row[row]), int(self._index_in_shard[row])
        starts = self._group_starts[shard]
        group = int(np.searchsorted(starts, index, side="right")) - 1
        return shard, group, index - int(starts[group])

    def _read_footer(self, shard: ShardEntry) -> Any:
        path = self.directory / shard.path
        try:
            metadata = pq.read_metadata(path)
        except (OSError, pa.ArrowInvalid) as exc:
            raise DatasetError(
                f"{path}: missing or not Parquet, though the manifest names it. "
                "Fetch or release the version again."
            ) from exc
        if metadata.num_rows != shard.num_rows:
            raise DatasetError(
                f"{path}: {metadata.num_rows} rows, the manifest says {shard.num_rows}. "
                "Fetch or release the version again."
            )
        return metadata

    def _open(self, shard: int) -> pq.ParquetFile:
        path = self.directory / self._shards[shard].path
        return pq.ParquetFile(path, metadata=self._metadata[shard], memory_map=True)

    def _read_group(self, shard: int, group: int, columns: list[str] | None) -> pa.Table:
        try:
            with self._open(shard) as file:
                return file.read_row_group(group, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as exc:
            raise DatasetError(
                f"{self.directory / self._shards[shard].path}: damaged in row group {group}. "
                "Fetch or release the version again."
            ) from exc


def open_dataset(dataset: str) -> VersionDataset:
    """Opens a version by name, as `schemas.versions.open_version` takes it.

    Only the rows to be reviewed and how they came about are fetched from a Hub.

    Raises:
        VersionError: There is no such version, or its files are not whole.
        ManifestError: Its manifest cannot be read.
        DatasetError: Its shards are not as the manifest says.
    """
    version = open_version(dataset, configs=(*CONFIG_OF_TASK.values(), "provenance"))
    return VersionDataset(version.directory, version.manifest)


def _with_empty_images(record: dict[str, Any]) -> dict[str, Any]:
    def emptied(value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None or value["path"] is None else {**value, "bytes": b""}

    record["query_image"] = emptied(record["query_image"])
    record["positive_image"] = emptied(record["positive_image"])
    record["negative_images"] = [emptied(value) for value in record["negative_images"]]
    return record
