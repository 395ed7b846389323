"""The search index of a version: its texts, scores and provenance as one read-only DuckDB file.

Image bytes stay in the shards. The file is named by the manifest's content, so
an index never outlives its version, and it appears whole or not at all.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation_app.data.provenance import CONFIG as PROVENANCE
from curation_app.data.version import DatasetError, VersionDataset
from schemas.features import PROVENANCE_SCHEMA, SAMPLE_SCHEMA, leaf_columns, with_image_names
from schemas.manifest import ShardEntry
from schemas.sample import SCORES
from schemas.vocabulary import CONFIG_OF_TASK

_log = logging.getLogger(__name__)

#: Raised by one whenever the table changes shape.
INDEX_VERSION = 4
_BATCH_ROWS = 20_000
#: Indexes of other versions that stay in the cache, the latest used.
_MAX_KEPT = 12
_PART_AGE_S = 86_400.0
_NAME = re.compile(r"[0-9a-f]{32}\.duckdb")
#: Of DuckDB, while searching, and while building beside people who review.
_MEMORY_LIMIT, _BUILD_MEMORY_LIMIT = "700MB", "250MB"
_LEAVES = leaf_columns(SAMPLE_SCHEMA, image_bytes=False)
#: Columns of provenance that rows are searched by.
_RECORD_FIELDS = (
    *("id", "teacher_model", "judge_model", "length", "difficulty", "text_register"),
    "task_idea",
)
_PROVENANCE_LEAVES = [
    *_RECORD_FIELDS,
    "images.list.element.source",
    "images.list.element.licence",
]
#: Soft hyphen, joiners, zero-width spaces and direction marks: two spellings of a word may differ
#: in them alone, as in Khmer, Lao and Persian.
_INVISIBLE = r"[\x{ad}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}\x{2066}-\x{2069}\x{feff}]+"
_STRINGS = pa.list_(pa.string())
_ROWS = pa.schema(
    [
        ("row", pa.int32()),
        ("split", pa.string()),
        *with_image_names(SAMPLE_SCHEMA),
        ("lowest_score", pa.int8()),
        ("text_length", pa.int32()),
        *((name, pa.string()) for name in ("folded_texts", "folded_instruction")),
    ]
)
_RECORDS = pa.schema(
    [
        *(PROVENANCE_SCHEMA.field(name) for name in _RECORD_FIELDS),
        ("sources", _STRINGS),
        ("licences", _STRINGS),
    ]
)
#: Columns of the table `rows` that hold what was published or counted, not its folded form.
COLUMNS = [name for name in (*_ROWS.names, *_RECORDS.names[1:]) if not name.startswith("folded_")]
_CREATE = """
CREATE TABLE rows AS
SELECT r.*, p.* EXCLUDE (id)
FROM row_batches AS r LEFT JOIN records AS p ON p.id = r.id
ORDER BY r.row
"""
_OPTIONS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """An open index.

    Args:
        connection: DuckDB, read-only where there is a file; take a cursor for each query.
        path: The file; None where the index is in memory.
    """

    connection: Any
    path: Path | None


def open_search_index(dataset: VersionDataset, cache_dir: Path) -> SearchIndex:
    """Opens a version's index, building it first where the folder has none.

    Two processes that build at the same time write separate files; the last
    one renamed stays, and both hold the same rows. Where the folder cannot be
    written, the index is built in memory.

    Raises:
        DatasetError: A shard is damaged.
    """
    import duckdb

    path = cache_dir / f"{index_name(dataset)}.duckdb"
    try:
        connection = _connect_whole(path)
        if connection is None:
            _build_file(dataset, path)
            connection = _connect(path, read_only=True)
        path.touch()
        _remove_oldest(cache_dir)
        connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        return SearchIndex(connection, path)
    except (OSError, duckdb.IOException) as exc:
        _log.warning(
            "%s: no search index can be kept there (%s); it is built in memory instead. "
            "Name a cache folder that can be written to start faster next time.",
            cache_dir,
            str(exc).splitlines()[0],
        )
    connection = duckdb.connect(config=dict(_OPTIONS))
    _fill(connection, dataset)
    return SearchIndex(connection, None)


def index_name(dataset: VersionDataset) -> str:
    """Name of a version's index: 32 hex digits over the manifest and `INDEX_VERSION`."""
    manifest = orjson.dumps(dataset.manifest.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(f"{INDEX_VERSION}\n".encode() + manifest).hexdigest()[:32]


def fold_text(text: str) -> str:
    """A search text as the index holds texts.

    Width, case, composition and invisible characters do not count.
    """
    return _folded(pa.array([text]))[0].as_py()


def _build_file(dataset: VersionDataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        connection = _connect(part, read_only=False)
        try:
            connection.execute(f"SET memory_limit = '{_BUILD_MEMORY_LIMIT}'")
            connection.execute("SET threads = 1")  # reviewers go on meanwhile
            _fill(connection, dataset)
        finally:
            connection.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        part.with_name(part.name + ".wal").unlink(missing_ok=True)


def _remove_oldest(cache_dir: Path) -> None:
    """Removes indexes beyond `_MAX_KEPT`, and what builds that were killed have left.

    A file that is open elsewhere stays readable there.
    """
    for part in cache_dir.glob(".*.part*"):
        if part.stat().st_mtime < time.time() - _PART_AGE_S:
            part.unlink(missing_ok=True)
    indexes = [path for path in cache_dir.iterdir() if _NAME.fullmatch(path.name)]
    indexes.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in indexes[_MAX_KEPT:]:
        path.unlink(missing_ok=True)
        path.with_suffix(".images.npz").unlink(missing_ok=True)


def _connect_whole(path: Path) -> Any:
    """The index of a folder; None where there is none, or a file that is no index."""
    import duckdb

    if not path.is_file():
        return None
    try:
        connection = _connect(path, read_only=True)
        connection.execute("SELECT row FROM rows LIMIT 1")
    except duckdb.Error:
        _log.warning("%s: not a search index; it is built again", path.name)
        return None
    return connection


def _connect(path: Path, *, read_only: bool) -> Any:
    import duckdb

    return duckdb.connect(path, read_only=read_only, config=dict(_OPTIONS))


def _fill(connection: Any, dataset: VersionDataset) -> None:
    import duckdb

    failures: list[DatasetError] = []
    connection.execute("SET enable_progress_bar = false")
    for name, schema, batches in (
        ("row_batches", _ROWS, _rows(dataset, failures)),
        ("records", _RECORDS, _records(dataset, failures)),
    ):
        connection.register(name, pa.RecordBatchReader.from_batches(schema, batches))
    try:
        connection.execute(_CREATE)
    except duckdb.Error as exc:
        if failures:
            raise failures[0] from exc
        raise
    connection.unregister("row_batches")
    connection.unregister("records")


def _rows(dataset: VersionDataset, failures: list[DatasetError]) -> Iterator[pa.RecordBatch]:
    configs = set(CONFIG_OF_TASK.values())
    shards = [shard for shard in dataset.manifest.shards if shard.config in configs]
    ids = dataset.ids
    for shard, batch in _batches(dataset, shards, _LEAVES, failures):
        texts = _folded(_all_texts(batch))
        columns: dict[str, pa.Array] = {
            "row": pa.array(np.searchsorted(ids, _bytes(batch["id"])), pa.int32()),
            "split": pa.repeat(shard.split, batch.num_rows),
            "query_image": _stems(pc.struct_field(batch["query_image"], "path")),
            "positive_image": _stems(pc.struct_field(batch["positive_image"], "path")),
            "negative_images": _lists_of(batch["negative_images"], "path", _stems),
            "lowest_score": pc.min_element_wise(*(batch[name] for name in SCORES)),
            "text_length": pc.utf8_length(texts),
            "folded_texts": texts,
            "folded_instruction": _folded(batch["instruction"]),
        }
        yield _batch(_ROWS, columns, batch)


def _records(dataset: VersionDataset, failures: list[DatasetError]) -> Iterator[pa.RecordBatch]:
    """Provenance of the rows; nothing where its files were not fetched."""
    shards = [
        shard
        for shard in dataset.manifest.shards
        if shard.config == PROVENANCE and (dataset.directory / shard.path).is_file()
    ]
    for _, batch in _batches(dataset, shards, _PROVENANCE_LEAVES, failures):
        columns = {
            "sources": _lists_of(batch["images"], "source"),
            "licences": _lists_of(batch["images"], "licence"),
        }
        yield _batch(_RECORDS, columns, batch)


def _batches(
    dataset: VersionDataset,
    shards: list[ShardEntry],
    leaves: list[str],
    failures: list[DatasetError],
) -> Iterator[tuple[ShardEntry, pa.RecordBatch]]:
    """What goes wrong is noted, as DuckDB would make it an error of its own."""
    for shard in shards:
        path = dataset.directory / shard.path
        try:
            with pq.ParquetFile(path, memory_map=True) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=leaves):
                    if dataset.closing.is_set():
                        failures.append(DatasetError(f"{path}: the app is ending."))
                        raise failures[0]
                    yield shard, batch
        except (OSError, pa.ArrowException) as exc:
            failures.append(
                DatasetError(f"{path}: damaged ({exc}). Fetch or release the version again.")
            )
            raise failures[0] from exc


def _batch(schema: pa.Schema, made: dict[str, pa.Array], read: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [made[name] if name in made else read[name] for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _all_texts(batch: pa.RecordBatch) -> pa.Array:
    negatives = batch["negative_texts"]
    counts = pc.fill_null(pc.list_value_length(negatives), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
    texts = pc.fill_null(negatives.flatten(), "")
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), "\n")
    return pc.binary_join_element_wise(
        batch["query_text"], batch["positive_text"], joined, "\n", null_handling="skip"
    )


def _folded(texts: pa.Array) -> pa.Array:
    visible = pc.replace_substring_regex(texts, _INVISIBLE, "")
    return pc.utf8_lower(pc.utf8_normalize(visible, form="NFKC"))


def _stems(paths: pa.Array) -> pa.Array:
    """File names without folder and extension: the image's sha256."""
    return pc.replace_substring_regex(paths, r"^.*/|\.[^.]*$", "")


def _lists_of(structs: pa.Array, field: str, change: Any = None) -> pa.Array:
    """A list of structs as a list of one of their fields."""
    values = pc.struct_field(structs.flatten(), field)
    counts = pc.fill_null(pc.list_value_length(structs), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
    return pa.ListArray.from_arrays(offsets, change(values) if change else values)


def _bytes(ids: pa.Array) -> np.ndarray:
    return np.asarray(ids.to_pylist(), dtype="S")
