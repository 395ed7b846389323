"""Parquet in and out: rows to a shard and back, streaming, with images inside."""

# pyarrow ships no types: what comes of it is unknown, everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from schemas.errors import RowError
from schemas.features import (
    CONFIG_SCHEMAS,
    config_schema,
    image_columns_of,
    leaf_columns,
    with_footer,
)
from schemas.sample import Sample

#: The Hub's viewer refuses row groups of more than 100 MB and works best with about 100 rows of
#: photographs; the limit in bytes ensures both, and small pictures get groups quick to read.
MAX_GROUP_ROWS_WITH_IMAGES = 1_000
MAX_GROUP_ROWS = 10_000
MAX_GROUP_BYTES = 32 * 2**20
_READ_ROWS = 100
#: A page ends when it is full, but Parquet checks only once per batch, a thousand rows by default.
#: With photographs, smaller batches halve the time to write and to read a single row.
_BATCH_ROWS_WITH_IMAGES = 8


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The original bytes of an image, and the file name it is published under."""

    data: bytes
    path: str


ReadImage = Callable[[str], ImageFile]


def sample_record(sample: Sample, read_image: ReadImage) -> dict[str, Any]:
    """The row as stored in Parquet: image hashes replaced by `{"bytes", "path"}`."""

    def image(sha256: str | None) -> dict[str, Any] | None:
        if sha256 is None:
            return None
        file = read_image(sha256)
        return {"bytes": file.data, "path": file.path}

    record = sample.model_dump()
    record["query_image"] = image(sample.query_image)
    record["positive_image"] = image(sample.positive_image)
    record["negative_images"] = [image(sha256) for sha256 in sample.negative_images]
    return record


def write_shard(path: Path, config: str, records: Iterable[dict[str, Any]]) -> int:
    """Writes one shard; the same records in the same order give the same bytes.

    Image columns are stored uncompressed, as images are compressed already; row
    groups are limited in rows and bytes. Memory holds one row group at a time.

    Args:
        path: File to write.
        config: Published config, a key of `CONFIG_SCHEMAS`.
        records: Rows as plain Python values, in the order in which they are written.

    Returns:
        Number of rows written.
    """
    image_columns = image_columns_of(CONFIG_SCHEMAS[config])
    max_rows = MAX_GROUP_ROWS_WITH_IMAGES if image_columns else MAX_GROUP_ROWS
    num_rows = 0
    with open_shard(path, config) as writer:
        for group in _groups(records, image_columns, max_rows):
            table = pa.Table.from_pylist(group, schema=writer.schema)
            writer.write_table(table, row_group_size=max_rows)
            num_rows += len(group)
    return num_rows


def open_shard(sink: Path | BinaryIO, config: str, *, has_extra: bool = False) -> pq.ParquetWriter:
    """A writer of one shard's row groups, to be closed by the caller or used in a `with`.

    Everything besides the rows that decides a shard's bytes is set here: the
    footer, compression (none for images, which are compressed already),
    dictionaries and statistics (of every column but the image bytes).

    Args:
        sink: Where it is written.
        config: Published config, a key of `CONFIG_SCHEMAS`.
        has_extra: Whether provenance has the column of fields of one's own.
    """
    schema = with_footer(config_schema(config, has_extra=has_extra))
    image_columns = image_columns_of(schema)
    small = leaf_columns(schema, image_bytes=False)
    compression = {
        leaf: "none" if leaf.split(".")[0] in image_columns else "zstd"
        for leaf in leaf_columns(schema)
    }
    return pq.ParquetWriter(
        sink,
        schema,
        compression=compression,  # pyright: ignore[reportArgumentType]
        use_dictionary=small,  # pyright: ignore[reportArgumentType]
        write_statistics=small,  # pyright: ignore[reportArgumentType]
        write_page_index=True,
        write_batch_size=_BATCH_ROWS_WITH_IMAGES if image_columns else None,
        store_schema=True,
    )


def read_records(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a shard as plain Python values, one batch in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_READ_ROWS, columns=columns):
            yield from batch.to_pylist()


def read_samples(path: Path) -> Iterator[tuple[Sample, dict[str, ImageFile]]]:
    """Samples of a shard, each with its images by sha256.

    Raises:
        RowError: A row breaks the contract; names shard, row, id and field.
    """
    for index, record in enumerate(read_records(path)):
        yield parse_record(record, shard=path.name, row_index=index)


def parse_record(
    record: dict[str, Any], *, shard: str | None = None, row_index: int | None = None
) -> tuple[Sample, dict[str, ImageFile]]:
    """The inverse of `sample_record`: the sample, and its images by the hash in their file name."""
    images: dict[str, ImageFile] = {}

    def sha256(value: dict[str, Any] | None) -> str | None:
        if value is None:
            return None
        name = Path(value["path"] or "").stem
        images[name] = ImageFile(value["bytes"], value["path"])
        return name

    fields = dict(record)
    try:
        fields["query_image"] = sha256(fields["query_image"])
        fields["positive_image"] = sha256(fields["positive_image"])
        fields["negative_images"] = tuple(sha256(value) for value in fields["negative_images"])
        fields["negative_texts"] = tuple(fields["negative_texts"])
        return Sample.model_validate(fields), images
    except (ValidationError, KeyError, TypeError) as exc:
        field, what = None, f"not a sample ({type(exc).__name__}: {exc})"
        if isinstance(exc, ValidationError):
            first = exc.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or None
            what = f"`{field}`: {first['msg']}" if field else first["msg"]
        raise RowError(
            what, shard=shard, row_index=row_index, field=field, row_id=str(record.get("id"))
        ) from exc


def _groups(
    records: Iterable[dict[str, Any]], image_columns: list[str], max_rows: int
) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    num_bytes = 0
    for record in records:
        size = sum(_image_bytes(record[column]) for column in image_columns)
        if group and (len(group) == max_rows or num_bytes + size > MAX_GROUP_BYTES):
            yield group
            group, num_bytes = [], 0
        group.append(record)
        num_bytes += size
    if group:
        yield group


def _image_bytes(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return sum(_image_bytes(entry) for entry in value)
    return len(value["bytes"]) if value else 0
