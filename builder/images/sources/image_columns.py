"""Which column of a table has images, and the images in a value of it."""

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from builder.images.sources.facts import plain_key

#: Names by which one of several columns of bytes is taken for the images.
_USUAL_NAMES = ("image", "images", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "bytes")
#: First bytes of image files.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_SAMPLE_ROWS = 20


def find_image_column(file: pq.ParquetFile) -> str | None:
    """The column with images: by the note that `datasets` leaves, else by type and content."""
    schema = file.schema_arrow
    noted = _noted_columns(schema)
    if noted:
        return noted[0]
    columns = [field.name for field in schema if may_hold_images(field.type)]
    if len(columns) > 1:
        shown = _columns_with_images(file, columns)
        columns = shown or columns
    columns.sort(key=usual_rank)
    if not columns:
        return None
    field = schema.field(columns[0])
    is_telling = usual_rank(field.name) < len(_USUAL_NAMES) or _has_bytes(field.type)
    if is_telling or _columns_with_images(file, columns[:1]):
        return columns[0]
    return None


def images_in(value: Any) -> list[bytes | None]:
    """The images of a value in any shape a column of images takes; None for one without bytes."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [image for part in value for image in images_in(part)]
    if isinstance(value, Mapping):
        value = value.get("bytes")
    return [bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None]


def usual_rank(name: str) -> int:
    """Place among the usual names, by whole name or by its beginning."""
    key = plain_key(name)
    for rank, usual in enumerate(_USUAL_NAMES):
        if key.startswith(usual):
            return rank
    return len(_USUAL_NAMES)


def _noted_columns(schema: pa.Schema) -> list[str]:
    """Columns that are images, or lists of them, by the note of `datasets` in the footer."""
    try:
        note = orjson.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = note["info"]["features"]
        return [name for name in schema.names if _is_image_feature(features.get(name))]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return []


def _is_image_feature(feature: Any, depth: int = 3) -> bool:
    if isinstance(feature, list) and feature and depth:
        return _is_image_feature(feature[0], depth - 1)
    if not isinstance(feature, dict):
        return False
    return feature.get("_type") == "Image" or (
        depth > 0 and _is_image_feature(feature.get("feature"), depth - 1)
    )


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _has_bytes(kind: pa.DataType) -> bool:
    """Whether it is a struct with bytes, or a list of such, as `datasets` stores images."""
    if _is_list(kind):
        return _has_bytes(kind.value_type)
    return pa.types.is_struct(kind) and any(
        child.name == "bytes" and may_hold_images(child.type) for child in kind
    )


def may_hold_images(kind: pa.DataType) -> bool:
    """Whether a column of this type may have images: bytes, structs with bytes, lists of these."""
    if _is_list(kind):
        return may_hold_images(kind.value_type)
    if pa.types.is_struct(kind):
        return _has_bytes(kind)
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _columns_with_images(file: pq.ParquetFile, columns: list[str]) -> list[str]:
    """Those of the columns whose first values begin like image files."""
    try:
        batch = next(file.iter_batches(batch_size=_SAMPLE_ROWS, columns=columns), None)
    except (pa.ArrowException, OSError):  # damaged there; the rest may not be
        return []
    if batch is None:
        return []
    found: set[str] = set()
    for row in batch.to_pylist():
        for name in columns:
            if any(_looks_like_an_image(data) for data in images_in(row[name])):
                found.add(name)
    return [name for name in columns if name in found]


def _looks_like_an_image(data: bytes | None) -> bool:
    return data is not None and (data.startswith(_SIGNATURES) or data[8:12] == b"WEBP")
