"""Image hashes to image bytes, a row group at a time, as Arrow."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, chain
from typing import Protocol

import pyarrow as pa

from builder.images.record import ImageRecord
from schemas.features import IMAGE
from schemas.shards import MAX_GROUP_BYTES, MAX_GROUP_ROWS_WITH_IMAGES

#: One is written while the other is filled, see `prefetch`.
_NUM_BUFFERS = 2
#: Two reads keep a disk's queue busy; more threads wait for Python's lock.
_NUM_READERS = 2

Hashes = Sequence[str | None]


class ImageSource(Protocol):
    """Gives facts about images by hash, and reads their bytes into existing memory."""

    def records_of(self, hashes: Collection[str]) -> Mapping[str, ImageRecord]: ...

    def read_into(self, record: ImageRecord, into: memoryview) -> None: ...


class ImageGroups:
    """Makes the row groups of shards with their images, limited in rows and bytes.

    Bytes are read into two reused buffers, because fresh memory costs more than
    the reading; so a group is valid until two more were made. An image that was
    in the group before, as pictograms often are, is copied from there.

    Args:
        images: Reads the bytes and checks them against their hash.
    """

    def __init__(self, images: ImageSource) -> None:
        self._images = images
        self._buffers = [bytearray() for _ in range(_NUM_BUFFERS)]
        self._turn = 0
        self._group_before: dict[str, memoryview] = {}
        self._readers = ThreadPoolExecutor(_NUM_READERS, thread_name_prefix="images")

    def close(self) -> None:
        self._readers.shutdown(wait=True, cancel_futures=True)

    def groups(self, table: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
        """The table's rows, hashes replaced by images.

        Args:
            table: Samples with image hashes.
            schema: Of the published shard.

        Raises:
            ImageStoreError: An image is missing or damaged.
        """
        query = table["query_image"].to_pylist()
        positive = table["positive_image"].to_pylist()
        negatives = table["negative_images"].to_pylist()
        named = {*query, *positive, *chain.from_iterable(negatives)} - {None}
        records = self._images.records_of(named)
        sizes = {sha256: record.num_bytes for sha256, record in records.items()}
        row_bytes = [
            sum(sizes[sha256] for sha256 in (one, other, *more) if sha256 is not None)
            for one, other, more in zip(query, positive, negatives, strict=True)
        ]
        for rows in _group_slices(row_bytes):
            columns = query[rows], positive[rows], negatives[rows]
            part = table.slice(rows.start, rows.stop - rows.start)
            yield self._with_images(part, *columns, schema, records)

    def _with_images(
        self,
        part: pa.Table,
        query: Hashes,
        positive: Hashes,
        negatives: Sequence[Hashes],
        schema: pa.Schema,
        records: Mapping[str, ImageRecord],
    ) -> pa.Table:
        columns = (query, positive, [sha256 for row in negatives for sha256 in row])
        buffer = self._fill(list(chain.from_iterable(columns)), records)
        arrays: list[pa.Array] = []
        begin = 0
        for hashes in columns:
            array, begin = _image_array(hashes, records, buffer, begin)
            arrays.append(array)
        offsets = pa.array([0, *accumulate(map(len, negatives))], pa.int32())
        replaced = {
            "query_image": arrays[0],
            "positive_image": arrays[1],
            "negative_images": pa.ListArray.from_arrays(offsets, arrays[2]),
        }
        filled = [replaced[n] if n in replaced else part[n] for n in schema.names]
        return pa.Table.from_arrays(filled, schema=schema)

    def _fill(self, hashes: Hashes, records: Mapping[str, ImageRecord]) -> memoryview:
        """A buffer with the images one after the other, in the order of `hashes`."""
        buffer = self._next_buffer(sum(records[name].num_bytes for name in hashes if name))
        group: dict[str, memoryview] = {}
        copies: list[tuple[memoryview, str]] = []
        missing: list[tuple[memoryview, ImageRecord]] = []
        end = 0
        for sha256 in hashes:
            if sha256 is None:
                continue
            begin, end = end, end + records[sha256].num_bytes
            target = buffer[begin:end]
            if sha256 in group or sha256 in self._group_before:
                copies.append((target, sha256))
            else:
                missing.append((target, records[sha256]))
            group.setdefault(sha256, target)
        parts = [missing[start::_NUM_READERS] for start in range(_NUM_READERS)]
        for _ in self._readers.map(self._read, parts):
            pass
        for target, sha256 in copies:
            target[:] = self._group_before.get(sha256, group[sha256])
        self._group_before = group
        return buffer

    def _read(self, missing: list[tuple[memoryview, ImageRecord]]) -> None:
        for target, record in missing:
            self._images.read_into(record, target)

    def _next_buffer(self, num_bytes: int) -> memoryview:
        self._turn = (self._turn + 1) % _NUM_BUFFERS
        if len(self._buffers[self._turn]) < num_bytes:
            # A new object, since Arrow may still use the old one.
            self._buffers[self._turn] = bytearray(max(num_bytes, MAX_GROUP_BYTES // 4))
        return memoryview(self._buffers[self._turn])


def _group_slices(row_bytes: Sequence[int]) -> Iterator[slice]:
    """Consecutive rows that fit into a group; a row larger than any limit gets its own."""
    start, num_bytes = 0, 0
    for row, size in enumerate(row_bytes):
        is_full = row - start == MAX_GROUP_ROWS_WITH_IMAGES
        if row > start and (is_full or num_bytes + size > MAX_GROUP_BYTES):
            yield slice(start, row)
            start, num_bytes = row, 0
        num_bytes += size
    if row_bytes:
        yield slice(start, len(row_bytes))


def _image_array(
    hashes: Hashes, records: Mapping[str, ImageRecord], buffer: memoryview, begin: int
) -> tuple[pa.StructArray, int]:
    """The images of one column, whose bytes start at `begin` in `buffer`, and where they end."""
    found = [None if sha256 is None else records[sha256] for sha256 in hashes]
    offsets = [0, *accumulate(0 if record is None else record.num_bytes for record in found)]
    end = begin + offsets[-1]
    is_valid = pa.array([record is not None for record in found], pa.bool_())
    data = pa.BinaryArray.from_buffers(
        pa.binary(),
        len(found),
        [
            is_valid.buffers()[1],
            pa.array(offsets, pa.int32()).buffers()[1],
            pa.py_buffer(buffer[begin:end]),
        ],
    )
    names = pa.array([record and record.file_name for record in found], pa.string())
    is_null = pa.array([record is None for record in found], pa.bool_())
    array = pa.StructArray.from_arrays([data, names], fields=list(IMAGE), mask=is_null)
    return array, end
