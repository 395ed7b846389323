"""Reads shards of a version batch by batch, each checked against its own Parquet schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import PolysceneError
from schemas.features import CONFIG_SCHEMAS
from schemas.manifest import ShardEntry
from schemas.versions import Version

_BATCH_BYTES = 16 * 2**20
_MAX_BATCH_ROWS = 1_000
_READ_BYTES = 2**20


class ShardError(PolysceneError):
    """A file of a version is damaged, or is not what a release has.

    Args:
        version: As the user gave it.
        path: The file, inside the version.
        what: What is wrong, as a clause.
    """

    def __init__(self, version: str, path: str, what: str) -> None:
        self.version = version
        self.path = path
        self.what = what
        super().__init__(f"{version}: {path}: {what}. Fetch or release the version again.")


def read_batches(
    version: Version,
    shard: ShardEntry,
    columns: Sequence[str],
    types: Mapping[str, pa.DataType] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches with these columns, typed as `CONFIG_SCHEMAS` has them.

    Memory holds one batch, of about 16 MB. Types that other writers choose
    (`large_string`, dictionaries) are cast; a column that the file itself
    lacks is an error, whatever the card declares. Fields of structs that are
    not asked for are left out: releases of other ages have more or fewer.

    Args:
        version: The version.
        shard: One of its files.
        columns: To read.
        types: Of columns of which a part is needed.

    Raises:
        ShardError: A column is missing or of another type, the number of rows differs from
            the manifest's, or the file is damaged.
    """
    given, path = version.given, version.path(shard)
    fields = [CONFIG_SCHEMAS[shard.config].field(name) for name in columns]
    wanted = pa.schema(
        [field.with_type((types or {}).get(field.name, field.type)) for field in fields]
    )
    try:
        with pq.ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False) as file:
            _check_columns(given, shard, file.schema_arrow, wanted)
            if file.metadata.num_rows != shard.num_rows:
                what = f"{file.metadata.num_rows:,} rows, the manifest says {shard.num_rows:,}"
                raise ShardError(given, shard.path, what)
            batches = file.iter_batches(batch_size=_batch_rows(file), columns=list(columns))
            for batch in batches:
                yield batch.select(list(columns)).cast(wanted)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as exc:
        what = f"damaged or not a Parquet file ({type(exc).__name__})"
        raise ShardError(given, shard.path, what) from exc


def _check_columns(given: str, shard: ShardEntry, found: pa.Schema, wanted: pa.Schema) -> None:
    missing = [name for name in wanted.names if name not in found.names]
    if missing:
        columns = "column" if len(missing) == 1 else "columns"
        raise ShardError(given, shard.path, f"has no {columns} {', '.join(missing)}")
    for field in wanted:
        kind = found.field(field.name).type
        if not _has(_shape(kind), _shape(field.type)):
            what = f"column {field.name} is of type {kind}, not {field.type}"
            raise ShardError(given, shard.path, what)


def _shape(kind: pa.DataType) -> Any:
    """A type without details that readers ignore: widths, encodings, names of list items."""
    if pa.types.is_dictionary(kind):
        return _shape(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ["list", _shape(kind.value_type)]
    if pa.types.is_struct(kind):
        return {field.name: _shape(field.type) for field in kind}
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "binary"
    return str(kind)


def _has(found: Any, wanted: Any) -> bool:
    """Whether a shape has everything of another; a struct may have more fields."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(name in found and _has(found[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return all(map(_has, found, wanted))
    return found == wanted


def _batch_rows(file: pq.ParquetFile) -> int:
    metadata = file.metadata
    num_bytes = sum(metadata.row_group(g).total_byte_size for g in range(metadata.num_row_groups))
    per_row = max(1, num_bytes // max(1, metadata.num_rows))
    return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // per_row))
