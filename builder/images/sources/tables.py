"""Parquet files with image bytes in a column."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builder.images.sources.candidate import Candidate, RefusedFile
from schemas.errors import PolysceneError

_ROWS_AT_ONCE = 64
#: Names by which a column of bytes is recognised as images.
_USUAL_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "bytes", "image_bytes")


class TableError(PolysceneError):
    """A table is unreadable or has no image column."""


def read_parquet(
    paths: Iterable[Path], max_bytes: int, column: str | None = None
) -> Iterator[Candidate | RefusedFile]:
    """Yields the images of a column, a few rows in memory at a time.

    The column has bytes, or `{"bytes", "path"}` as `datasets` writes images;
    columns `url` or `source`, and `licence` or `license`, are used if present.

    Raises:
        TableError: A file is not Parquet, or has no image column.
    """
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                chosen = column or _image_column(file.schema_arrow, path)
                wanted = [chosen, *_fact_columns(file.schema_arrow)]
                if chosen not in file.schema_arrow.names:
                    raise TableError(_no_column(path, chosen, file.schema_arrow.names))
                yield from _read_rows(file, path.name, chosen, wanted, max_bytes)
        except (pa.ArrowInvalid, OSError) as exc:
            problem = " ".join(str(exc).split())
            raise TableError(f"{path}: not readable as Parquet ({problem}).") from exc


def _read_rows(
    file: pq.ParquetFile, file_name: str, column: str, wanted: list[str], max_bytes: int
) -> Iterator[Candidate | RefusedFile]:
    index = 0
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=wanted):
        for row in batch.to_pylist():
            yield candidate_of_row(row, f"{file_name}#{index}", column, max_bytes)
            index += 1


def candidate_of_row(
    row: dict[str, Any], name: str, column: str, max_bytes: int
) -> Candidate | RefusedFile:
    """One row as a candidate; an image given only by its path is refused."""
    value = row.get(column)
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        return RefusedFile(name, "empty_file", "the row has no image bytes")
    if len(data) > max_bytes:
        what = f"{len(data):,} bytes, the limit is {max_bytes:,}"
        return RefusedFile(name, "too_many_bytes", what)
    source = _text(row, "source", "url")
    return Candidate(name, data, source or name, licence=_text(row, "licence", "license"))


def _text(row: dict[str, Any], *names: str) -> str | None:
    values = (row.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _fact_columns(schema: pa.Schema) -> list[str]:
    return [name for name in ("url", "source", "licence", "license") if name in schema.names]


def _image_column(schema: pa.Schema, path: Path) -> str:
    for field in schema:
        if pa.types.is_struct(field.type) and "bytes" in {child.name for child in field.type}:
            return field.name
    for name in _USUAL_NAMES:
        if name in schema.names and pa.types.is_binary(schema.field(name).type):
            return name
    raise TableError(_no_column(path, None, schema.names))


def _no_column(path: Path, column: str | None, names: list[str]) -> str:
    missing = f"no column {column!r}" if column else "no column of images found"
    return f"{path}: {missing} among {', '.join(names)}. Name it with --image-column."
