"""Counts the rows in which two versions differ, by field, language and modality; reads no image.

Shards with the same `rows_hash` have the same rows and are not read; of the
others only texts, scores and image names are.
"""

# pyright: standard, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow ships no types, and makes its compute functions at import

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.errors import PolysceneError
from schemas.features import SAMPLE_SCHEMA, leaf_columns, with_image_names
from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.vocabulary import CONFIG_OF_TASK

#: Leaf columns that are read: everything but the bytes of the images.
_LEAVES = leaf_columns(SAMPLE_SCHEMA, image_bytes=False)
#: Fields that are compared; a row's task type is that of its config, and rows keep their ids.
_FIELDS = (*(name for name in SAMPLE_SCHEMA.names if name not in ("id", "task_type")), "split")
_BATCH_ROWS = 20_000
_OPTIONS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

#: Opens a shard for reading, as a file on disk or on the Hub.
OpenShard = Callable[[ShardEntry], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class ComparedVersion:
    """One of the two versions: its manifest, and a way to open its shards."""

    manifest: ReleaseManifest
    open_shard: OpenShard


class UnreadableShardError(PolysceneError):
    """A shard of a release directory is missing or damaged.

    Args:
        directory: The release.
        path: The shard's path in it.
        what: What is wrong, as a clause.
    """

    def __init__(self, directory: Path, path: str, what: str) -> None:
        self.path = path
        super().__init__(
            f"{directory / path}: {what}. Restore it from a backup; or delete {directory}, and if "
            "that version is published, `python -m builder rebase` fetches it again."
        )


def version_on_disk(directory: Path, manifest: ReleaseManifest) -> ComparedVersion:
    """A release directory as a version to compare; a damaged shard is an `UnreadableShardError`."""

    @contextmanager
    def open_shard(entry: ShardEntry) -> Iterator[Any]:
        try:
            with (directory / entry.path).open("rb") as file:
                yield file
        except FileNotFoundError as exc:
            raise UnreadableShardError(directory, entry.path, "missing") from exc
        except (OSError, pa.ArrowException) as exc:
            raise UnreadableShardError(directory, entry.path, "damaged or unreadable") from exc

    return ComparedVersion(manifest, open_shard)


@dataclass(slots=True)
class Difference:
    """How many rows the newer version added, removed and changed.

    Each counter has the keys "added", "removed" and "changed".
    """

    old: str
    new: str
    num_shards_read: int = 0
    total: Counter[str] = field(default_factory=Counter)
    by_field: Counter[str] = field(default_factory=Counter)
    by_config: dict[str, Counter[str]] = field(default_factory=dict)
    by_language: dict[str, Counter[str]] = field(default_factory=dict)
    by_modality: dict[str, Counter[str]] = field(default_factory=dict)

    def summary(self) -> str:
        """`12 rows added, 3 removed, 5 changed (positive_text 4, query_text 1)`."""
        added, removed, changed = (self.total[kind] for kind in ("added", "removed", "changed"))
        text = f"{added:,} rows added, {removed:,} removed, {changed:,} changed"
        if self.by_field:
            named = ", ".join(f"{name} {num:,}" for name, num in sorted(self.by_field.items()))
            text += f" ({named})"
        return text

    def as_json(self) -> dict[str, Any]:
        """Everything counted, keys in order."""
        return {
            "old": self.old,
            "new": self.new,
            "rows": {kind: self.total[kind] for kind in ("added", "removed", "changed")},
            "changed_by_field": dict(sorted(self.by_field.items())),
            "configs": _plain(self.by_config),
            "languages": _plain(self.by_language),
            "modalities": _plain(self.by_modality),
        }


def differing_shards(old: ReleaseManifest, new: ReleaseManifest) -> tuple[list, list]:
    """Shards of each version whose rows differ from the shard of the same name in the other."""
    configs = set(CONFIG_OF_TASK.values())
    by_path = [
        {entry.path: entry for entry in manifest.shards if entry.config in configs}
        for manifest in (old, new)
    ]

    def differing(own: dict[str, ShardEntry], other: dict[str, ShardEntry]) -> list[ShardEntry]:
        return [
            entry
            for path, entry in own.items()
            if path not in other or other[path].rows_hash != entry.rows_hash
        ]

    return differing(*by_path), differing(*reversed(by_path))


def compare(old: ComparedVersion, new: ComparedVersion) -> Difference:
    """Counts what the newer version changed."""
    difference = Difference(old.manifest.version, new.manifest.version)
    old_shards, new_shards = differing_shards(old.manifest, new.manifest)
    difference.num_shards_read = len(old_shards) + len(new_shards)
    if not difference.num_shards_read:
        return difference
    with _loaded((old, old_shards), (new, new_shards)) as connection:
        rows = connection.execute(_query("compare.sql")).fetchall()
    for config, language, modality, kind, fields, num_rows in rows:
        difference.total[kind] += num_rows
        for key, counters in (
            (config, difference.by_config),
            (language, difference.by_language),
            (modality, difference.by_modality),
        ):
            counters.setdefault(key, Counter())[kind] += num_rows
        for name in fields:
            difference.by_field[name] += num_rows
    return difference


@dataclass(frozen=True, slots=True)
class ChangedRows:
    """Ids of the rows that the newer of two versions added, removed and changed."""

    added: set[str]
    removed: set[str]
    changed: set[str]


def changed_rows(old: ComparedVersion, new: ComparedVersion) -> ChangedRows:
    """Which rows differ between two versions."""
    ids: dict[str, set[str]] = {"added": set(), "removed": set(), "changed": set()}
    old_shards, new_shards = differing_shards(old.manifest, new.manifest)
    if old_shards or new_shards:
        with _loaded((old, old_shards), (new, new_shards)) as connection:
            for kind, row_id in connection.execute(_query("changed_rows.sql")).fetchall():
                ids[kind].add(row_id)
    return ChangedRows(**ids)


def row_ids(version: ComparedVersion) -> Iterator[str]:
    """Ids of a version's rows."""
    configs = set(CONFIG_OF_TASK.values())
    for entry in version.manifest.shards:
        if entry.config in configs:
            with version.open_shard(entry) as source, pq.ParquetFile(source) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=["id"]):
                    yield from batch["id"].to_pylist()


@contextmanager
def _loaded(
    old: tuple[ComparedVersion, list[ShardEntry]], new: tuple[ComparedVersion, list[ShardEntry]]
) -> Iterator[Any]:
    """A database with the hashes of two versions' rows, as `old_rows` and `new_rows`."""
    import duckdb

    with duckdb.connect(config=dict(_OPTIONS)) as connection:
        connection.execute("SET enable_progress_bar = false")
        for name, (version, shards) in (("old_rows", old), ("new_rows", new)):
            failures: list[PolysceneError] = []
            batches = _batches(version, shards, failures)
            reader = pa.RecordBatchReader.from_batches(_READ_SCHEMA, batches)
            hashes = ", ".join(f'hash("{f}") AS "{f}_hash"' for f in _FIELDS)
            connection.register("source", reader)
            try:
                connection.execute(
                    f"CREATE TEMP TABLE {name} AS "
                    f"SELECT id, config, language, modality, {hashes} FROM source"
                )
            except duckdb.Error as exc:
                if failures:
                    raise failures[0] from exc
                raise
            connection.unregister("source")
        yield connection


def _query(name: str) -> str:
    unequal = {name: f'o."{name}_hash" IS DISTINCT FROM n."{name}_hash"' for name in _FIELDS}
    return (
        files("builder.release")
        .joinpath(name)
        .read_text(encoding="utf-8")
        .format(
            field_list=", ".join(
                f"CASE WHEN {test} THEN '{name}' END" for name, test in unequal.items()
            ),
            any_field_differs=" OR ".join(unequal.values()),
        )
    )


_READ_SCHEMA = pa.schema(
    [("config", pa.string()), ("split", pa.string()), *with_image_names(SAMPLE_SCHEMA)]
)


def _batches(
    version: ComparedVersion, shards: Iterable[ShardEntry], failures: list[PolysceneError]
) -> Iterator[pa.RecordBatch]:
    """Rows without images; notes our errors in `failures`, since DuckDB replaces them."""
    try:
        for entry in shards:
            with version.open_shard(entry) as source, pq.ParquetFile(source) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=_LEAVES):
                    yield _flattened(batch, entry)
    except PolysceneError as exc:
        failures.append(exc)
        raise


def _flattened(batch: pa.RecordBatch, entry: ShardEntry) -> pa.RecordBatch:
    """Image structs, read without their bytes, become the image's file name."""
    negatives = batch["negative_images"]
    paths = pc.struct_field(negatives.flatten(), "path")
    lengths = pc.fill_null(pc.list_value_length(negatives), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    columns: dict[str, pa.Array] = {
        "config": pa.repeat(entry.config, batch.num_rows),
        "split": pa.repeat(entry.split, batch.num_rows),
        "query_image": pc.struct_field(batch["query_image"], "path"),
        "positive_image": pc.struct_field(batch["positive_image"], "path"),
        "negative_images": pa.ListArray.from_arrays(offsets, paths),
    }
    arrays = [columns[n] if n in columns else batch[n] for n in _READ_SCHEMA.names]
    return pa.RecordBatch.from_arrays(arrays, schema=_READ_SCHEMA)


def _plain(counters: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    kinds = ("added", "removed", "changed")
    return {
        key: {kind: counter[kind] for kind in kinds} for key, counter in sorted(counters.items())
    }
