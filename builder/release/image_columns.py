"""Image hashes to image bytes, a row group at a time, as Arrow."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from builder.release.rows import ReleaseError
from schemas.features import IMAGE
from schemas.shards import MAX_GROUP_BYTES, MAX_GROUP_ROWS_WITH_IMAGES, ImageFile, ReadImage

_CACHE_BYTES = 64 * 2**20


class ImageCache:
    """Remembers the images read last, since a pictogram stands in many rows."""

    def __init__(self, read_image: ReadImage, max_bytes: int = _CACHE_BYTES) -> None:
        self._read_image = read_image
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._files: OrderedDict[str, ImageFile] = OrderedDict()

    def read(self, sha256: str) -> ImageFile:
        file = self._files.get(sha256)
        if file is not None:
            self._files.move_to_end(sha256)
            return file
        file = self._read_image(sha256)
        self._files[sha256] = file
        self._num_bytes += len(file.data)
        while self._num_bytes > self._max_bytes and len(self._files) > 1:
            _, oldest = self._files.popitem(last=False)
            self._num_bytes -= len(oldest.data)
        return file


def image_groups(table: pa.Table, schema: pa.Schema, images: ImageCache) -> Iterator[pa.Table]:
    """Row groups of a shard: the table's rows with their images inside, bounded in size."""
    columns = [
        table["query_image"].to_pylist(),
        table["positive_image"].to_pylist(),
        table["negative_images"].to_pylist(),
    ]
    start, num_bytes = 0, 0
    files: dict[str, ImageFile] = {}
    for row, (query, positive, negatives) in enumerate(zip(*columns, strict=True)):
        size = 0
        for sha256 in (query, positive, *negatives):
            if sha256 is not None:
                file = files.get(sha256)
                if file is None:
                    file = files[sha256] = images.read(sha256)
                size += len(file.data)
        full = row - start == MAX_GROUP_ROWS_WITH_IMAGES
        if row > start and (full or num_bytes + size > MAX_GROUP_BYTES):
            yield _with_images(table, columns, start, row, schema, files)
            kept = {query, positive, *negatives}
            files = {sha256: file for sha256, file in files.items() if sha256 in kept}
            start, num_bytes = row, 0
        num_bytes += size
    if table.num_rows > start:
        yield _with_images(table, columns, start, table.num_rows, schema, files)


def _with_images(
    table: pa.Table,
    columns: list[list[Any]],
    start: int,
    stop: int,
    schema: pa.Schema,
    files: dict[str, ImageFile],
) -> pa.Table:
    query, positive, negatives = (column[start:stop] for column in columns)
    offsets = [0]
    for row in negatives:
        offsets.append(offsets[-1] + len(row))
    flat = [sha256 for row in negatives for sha256 in row]
    replaced = {
        "query_image": _image_array(query, files),
        "positive_image": _image_array(positive, files),
        "negative_images": pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), _image_array(flat, files)
        ),
    }
    part = table.slice(start, stop - start)
    return pa.Table.from_arrays(
        [replaced.get(name, part[name]) for name in schema.names], schema=schema
    )


def _image_array(hashes: list[str | None], files: dict[str, ImageFile]) -> pa.StructArray:
    found = [files[sha256] if sha256 is not None else None for sha256 in hashes]
    return pa.StructArray.from_arrays(
        [
            pa.array([file.data if file else None for file in found], pa.binary()),
            pa.array([file.path if file else None for file in found], pa.string()),
        ],
        fields=list(IMAGE),
        mask=pa.array([file is None for file in found]),
    )


def checked_reader(read_image: ReadImage) -> ReadImage:
    """Reads images and refuses bytes that no longer have the hash they are named by."""

    def read(sha256: str) -> ImageFile:
        file = read_image(sha256)
        if hashlib.sha256(file.data).hexdigest() != sha256:
            raise ReleaseError(
                f"image {sha256[:12]}…: its file in the image store is damaged. Add the images "
                "again with `python -m builder images add`; no version was made."
            )
        return file

    return read
