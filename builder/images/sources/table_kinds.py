"""What a Parquet file holds, by its columns: images, URLs of images, or neither."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builder.images.sources.facts import url_columns
from builder.images.sources.image_columns import find_image_column, may_hold_images

_SAMPLE_ROWS = 20


def has_image_column(path: Path, column: str | None = None) -> bool:
    """Whether a file has images in the column, or in any; False where it cannot be read."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            if column is not None:
                return column in schema.names and may_hold_images(schema.field(column).type)
            return find_image_column(file) is not None
    except (pa.ArrowException, OSError):
        return False


def has_url_column(path: Path, column: str | None = None) -> bool:
    """The same of URLs."""
    try:
        with pq.ParquetFile(path) as file:
            return find_url_column(file, column) is not None
    except (pa.ArrowException, OSError):
        return False


def find_url_column(file: pq.ParquetFile, column: str | None = None) -> str | None:
    """The column of image URLs: the one that was named, else by name and content."""
    schema = file.schema_arrow
    texts = [field.name for field in schema if _is_text(field.type)]
    if column is not None:
        return column if column in texts else None
    named = url_columns(texts)
    names = [*named, *(name for name in texts if name not in named)]
    if not names:
        return None
    batch = next(file.iter_batches(batch_size=_SAMPLE_ROWS, columns=names), None)
    rows = batch.to_pylist() if batch is not None else []
    for name in names:
        values = [row[name] for row in rows if row[name]]
        if values and all(_is_url(value) for value in values):
            return name
    # Of a file without rows, or with some that are no URLs, the name decides.
    return named[0] if named else None


def num_rows(paths: Iterable[Path]) -> int | None:
    """Rows of the files together; None if one cannot be read."""
    try:
        return sum(pq.read_metadata(path).num_rows for path in paths)
    except (OSError, pa.ArrowException):
        return None


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_url(value: str) -> bool:
    return value.lower().startswith(("http://", "https://"))
