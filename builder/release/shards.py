"""Writes the shards of a release in order of id, and reuses unchanged ones."""

# pyright: standard, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow ships no types, and makes its compute functions at import

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builder.disk import sync
from builder.release.image_columns import ImageGroups, ImageSource
from builder.release.layout import Layout, Stream
from builder.release.prefetch import prefetch
from builder.release.rows import Chunk
from schemas.manifest import ShardEntry
from schemas.shards import MAX_GROUP_ROWS, open_shard, write_shard
from schemas.vocabulary import CONFIG_OF_TASK, SPLITS

#: Increased whenever the same rows should give other bytes; part of every `rows_hash`.
#: 3: footers that `datasets` reads from release 3 on; those of 2 need 4.
SHARD_FORMAT = 3

#: Shards that may be queued for writing, the one under way included, when another is added.
_MAX_QUEUED = 2


@dataclass(frozen=True, slots=True)
class Previous:
    """An earlier release on this disk, whose shards may be reused."""

    directory: Path
    shards: Mapping[str, ShardEntry]


@dataclass(slots=True)
class _Filling:
    """A shard whose rows are still coming in."""

    bucket: int
    tables: list[pa.Table] = field(default_factory=list)
    rows_digest: Any = field(default_factory=hashlib.sha256)


@dataclass(frozen=True, slots=True)
class _Written:
    """A written shard, whose checksum and sync to disk may still be running."""

    unhashed: ShardEntry
    sha256: Future[str] | None
    synced: Future[None] | None

    def entry(self) -> ShardEntry:
        if self.synced is not None:
            self.synced.result()
        if self.sha256 is None:
            return self.unhashed
        return self.unhashed.model_copy(update={"sha256": self.sha256.result()})


class ShardSet:
    """Writes the shards of a release; a shard is written once its last row has come.

    Rows are gathered as compact tables, one unfinished shard a stream, so
    memory is bound by `rows_per_shard` and the number of streams. Writing
    Parquet, hashing and syncing to disk each have a thread of their own.

    Args:
        directory: Release directory under construction.
        layout: Which shard a row goes to.
        images: Source of the image bytes.
        previous: The release whose unchanged shards are reused.
    """

    def __init__(
        self, directory: Path, layout: Layout, images: ImageSource, previous: Previous | None
    ) -> None:
        self._directory = directory
        self._layout = layout
        self._images = ImageGroups(images)
        self._previous = previous
        self._filling: dict[Stream, _Filling] = {}
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shards")
        self._hasher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checksums")
        self._syncer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="to disk")
        self._written: list[Future[_Written]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown(wait=True, cancel_futures=True)
        self._hasher.shutdown(wait=True, cancel_futures=True)
        self._syncer.shutdown(wait=True, cancel_futures=True)
        self._images.close()

    def add(self, chunk: Chunk) -> None:
        """Adds the next rows in order of id."""
        tasks = pc.dictionary_encode(chunk.samples["task_type"]).combine_chunks()
        languages = pc.dictionary_encode(chunk.samples["language"]).combine_chunks()
        streams: list[Stream] = []
        number_of: dict[Stream, int] = {}
        numbers = np.empty((2, len(tasks.dictionary), len(languages.dictionary)), np.int64)
        for split, task, language in np.ndindex(numbers.shape):
            stream = self._layout.sample_stream(
                CONFIG_OF_TASK[tasks.dictionary[task].as_py()],
                SPLITS[split],
                languages.dictionary[language].as_py(),
            )
            if stream not in number_of:
                number_of[stream] = len(streams)
                streams.append(stream)
            numbers[split, task, language] = number_of[stream]
        stream_of_row = numbers[
            chunk.splits,
            tasks.indices.to_numpy(zero_copy_only=False),
            languages.indices.to_numpy(zero_copy_only=False),
        ]
        for number, stream in enumerate(streams):
            rows = np.flatnonzero(stream_of_row == number)
            self._fill(stream, chunk.samples, chunk.raw_samples, chunk.positions, rows)
        for split, name in enumerate(SPLITS):
            rows = np.flatnonzero(chunk.splits == split)
            stream = self._layout.provenance_stream(name)
            self._fill(stream, chunk.provenance, chunk.raw_provenance, chunk.positions, rows)

    def add_reviews(self, records: list[dict[str, Any]], events_hash: str) -> None:
        """Writes the review events as a config of their own, if there are any."""
        if not records:
            return
        stream = Stream("reviews", "train", None, 1)
        rows_hash = hashlib.sha256(f"{SHARD_FORMAT} reviews {events_hash}".encode()).hexdigest()
        self._submit(stream, 0, rows_hash, records)

    def finish(self) -> list[ShardEntry]:
        """Writes what is left; returns every shard in order of path."""
        for stream in list(self._filling):
            self._flush(stream)
        entries = (done.result().entry() for done in self._written)
        return sorted(entries, key=lambda entry: entry.path)

    def _fill(
        self,
        stream: Stream,
        table: pa.Table,
        raw: list[bytes],
        positions: np.ndarray,
        rows: np.ndarray,
    ) -> None:
        if not len(rows):
            return
        buckets = stream.buckets_of(positions[rows])
        edges = [0, *(np.flatnonzero(np.diff(buckets)) + 1), len(rows)]
        for start, stop in pairwise(edges):
            part = rows[start:stop]
            bucket = int(buckets[start])
            filling = self._filling.get(stream)
            if filling is None or filling.bucket != bucket:
                if filling is not None:
                    self._flush(stream)
                filling = self._filling[stream] = _Filling(bucket)
                columns = " extra" if "extra" in table.column_names else ""
                head = f"{SHARD_FORMAT} {stream.config}{columns}\n"
                filling.rows_digest.update(head.encode())
            filling.tables.append(table.take(pa.array(part)))
            for row in part:
                filling.rows_digest.update(raw[row])
                filling.rows_digest.update(b"\n")

    def _flush(self, stream: Stream) -> None:
        filling = self._filling.pop(stream)
        table = pa.concat_tables(filling.tables).combine_chunks()
        self._submit(stream, filling.bucket, filling.rows_digest.hexdigest(), table)

    def _submit(
        self, stream: Stream, bucket: int, rows_hash: str, rows: pa.Table | list[dict[str, Any]]
    ) -> None:
        # A shard that failed to be written stops the release here, not after the last row.
        for written in self._written:
            if written.done():
                written.result()
        # Each shard in the queue keeps its rows in memory. Reading goes on while one is written
        # and two wait; with more, rows would pile up wherever reading outpaces the disk.
        queued = [written for written in self._written if not written.done()]
        if len(queued) > _MAX_QUEUED:
            queued[0].result()
        self._written.append(self._writer.submit(self._write, stream, bucket, rows_hash, rows))

    def _write(
        self, stream: Stream, bucket: int, rows_hash: str, rows: pa.Table | list[dict[str, Any]]
    ) -> "_Written":
        name = stream.path(bucket)
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        reused = self._reuse(name, rows_hash, path)
        if reused is not None:
            return _Written(reused, None, None)
        if isinstance(rows, list):
            write_shard(path, stream.config, rows)
            num_rows = len(rows)
        else:
            num_rows = rows.num_rows
            has_extra = "extra" in rows.column_names
            with open_shard(path, stream.config, has_extra=has_extra) as writer:
                # The next row group's images are read and checked while this one is written.
                for group in prefetch(iter(self._row_groups(stream.config, rows, writer.schema))):
                    writer.write_table(group, row_group_size=max(1, group.num_rows))
        entry = ShardEntry(
            path=name,
            config=stream.config,
            split=stream.split,
            key=stream.key(bucket),
            num_rows=num_rows,
            num_bytes=path.stat().st_size,
            sha256="",
            rows_hash=rows_hash,
        )
        # Synced while the next shard is made; synced at the end, the disk would be idle until then.
        synced = self._syncer.submit(sync, path)
        return _Written(entry, self._hasher.submit(file_sha256, path), synced)

    def _row_groups(self, config: str, rows: pa.Table, schema: pa.Schema) -> Iterable[pa.Table]:
        if "query_image" in schema.names:
            return self._images.groups(rows, schema)
        return (
            rows.slice(start, MAX_GROUP_ROWS).cast(schema)
            for start in range(0, rows.num_rows, MAX_GROUP_ROWS)
        )

    def _reuse(self, name: str, rows_hash: str, path: Path) -> ShardEntry | None:
        """Links a shard of the previous release if its rows and its bytes are unchanged."""
        entry = self._previous.shards.get(name) if self._previous else None
        if self._previous is None or entry is None or entry.rows_hash != rows_hash:
            return None
        source = self._previous.directory / name
        try:
            if file_sha256(source) != entry.sha256:
                return None
        except FileNotFoundError:
            return None
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)
        return entry


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
