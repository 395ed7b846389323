"""Image hashes to image bytes, a row group at a time, as Arrow."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, chain

import pyarrow as pa

from builder.release.rows import ReleaseError
from schemas.features import IMAGE
from schemas.shards import MAX_GROUP_BYTES, MAX_GROUP_ROWS_WITH_IMAGES, ImageFile, ReadImage

_CACHE_BYTES = 64 * 2**20
#: One is written while the other is filled, see `ahead`.
_NUM_BUFFERS = 2
#: Images of this many rows are read at once, by this many threads: disks like company.
_READ_ROWS, _NUM_READERS = 16, 4


class ImageCache:
    """Remembers the images read last, since a pictogram stands in many rows; safe in threads."""

    def __init__(self, read_image: ReadImage, max_bytes: int = _CACHE_BYTES) -> None:
        self._read_image = read_image
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._files: OrderedDict[str, ImageFile] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, sha256: str) -> ImageFile:
        with self._lock:
            file = self._files.get(sha256)
            if file is not None:
                self._files.move_to_end(sha256)
                return file
        file = self._read_image(sha256)
        with self._lock:
            if sha256 not in self._files:
                self._files[sha256] = file
                self._num_bytes += len(file.data)
            while self._num_bytes > self._max_bytes and len(self._files) > 1:
                _, oldest = self._files.popitem(last=False)
                self._num_bytes -= len(oldest.data)
        return file


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


class ImageGroups:
    """Makes the row groups of shards, their images inside, bounded in rows and bytes.

    Image bytes are gathered in buffers that are used again, because fresh
    memory costs more than the copy. A group is good until the next but one is
    asked for.

    Args:
        images: Where bytes come from.
    """

    def __init__(self, images: ImageCache) -> None:
        self._images = images
        self._buffers = [bytearray() for _ in range(_NUM_BUFFERS)]
        self._turn = 0
        self._readers = ThreadPoolExecutor(_NUM_READERS, thread_name_prefix="images")

    def close(self) -> None:
        self._readers.shutdown(wait=True, cancel_futures=True)

    def groups(self, table: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
        """The table's rows, hashes replaced by images.

        Args:
            table: Samples with image hashes.
            schema: Of the published shard.
        """
        query = table["query_image"].to_pylist()
        positive = table["positive_image"].to_pylist()
        negatives = table["negative_images"].to_pylist()
        start, num_bytes = 0, 0
        files: dict[str, ImageFile] = {}

        def coming(row: int) -> set[str]:
            rows = slice(row, row + _READ_ROWS)
            named = {*query[rows], *positive[rows], *chain.from_iterable(negatives[rows])}
            return {sha256 for sha256 in named if sha256 is not None}

        for row in range(table.num_rows):
            if row % _READ_ROWS == 0:
                self._read(files, coming(row))
            named = (query[row], positive[row], *negatives[row])
            size = sum(len(files[sha256].data) for sha256 in named if sha256 is not None)
            full = row - start == MAX_GROUP_ROWS_WITH_IMAGES
            if row > start and (full or num_bytes + size > MAX_GROUP_BYTES):
                part = table.slice(start, row - start)
                columns = (query[start:row], positive[start:row], negatives[start:row])
                yield self._with_images(part, *columns, schema, files, num_bytes)
                start, num_bytes = row, 0
                files = {sha256: files[sha256] for sha256 in coming(row) if sha256 in files}
            num_bytes += size
        if table.num_rows > start:
            columns = (query[start:], positive[start:], negatives[start:])
            yield self._with_images(table.slice(start), *columns, schema, files, num_bytes)

    def _read(self, files: dict[str, ImageFile], named: set[str]) -> None:
        """Reads what is named and not there yet."""
        missing = sorted(named - files.keys())
        if len(missing) == 1:
            files[missing[0]] = self._images.read(missing[0])
        elif missing:
            found = self._readers.map(self._images.read, missing)
            files.update(zip(missing, found, strict=True))

    def _with_images(
        self,
        part: pa.Table,
        query: list[str | None],
        positive: list[str | None],
        negatives: list[list[str | None]],
        schema: pa.Schema,
        files: dict[str, ImageFile],
        num_bytes: int,
    ) -> pa.Table:
        buffer = self._next_buffer(num_bytes)
        flat = [sha256 for row in negatives for sha256 in row]
        offsets = pa.array([0, *accumulate(map(len, negatives))], pa.int32())
        used = 0
        arrays: list[pa.Array] = []
        for hashes in (query, positive, flat):
            array, used = _image_array(hashes, files, buffer, used)
            arrays.append(array)
        replaced = {
            "query_image": arrays[0],
            "positive_image": arrays[1],
            "negative_images": pa.ListArray.from_arrays(offsets, arrays[2]),
        }
        columns = [replaced[n] if n in replaced else part[n] for n in schema.names]
        return pa.Table.from_arrays(columns, schema=schema)

    def _next_buffer(self, num_bytes: int) -> memoryview:
        self._turn = (self._turn + 1) % _NUM_BUFFERS
        if len(self._buffers[self._turn]) < num_bytes:
            # A new object: Arrow may still look at the old one.
            self._buffers[self._turn] = bytearray(max(num_bytes, MAX_GROUP_BYTES // 4))
        return memoryview(self._buffers[self._turn])


def _image_array(
    hashes: Sequence[str | None], files: dict[str, ImageFile], buffer: memoryview, used: int
) -> tuple[pa.StructArray, int]:
    """The images of one column, their bytes laid into `buffer` from `used` on."""
    begin, offsets = used, [0]
    names: list[str | None] = []
    for sha256 in hashes:
        if sha256 is not None:
            data = files[sha256].data
            buffer[used : used + len(data)] = data
            used += len(data)
        names.append(files[sha256].path if sha256 is not None else None)
        offsets.append(used - begin)
    is_null = pa.array([sha256 is None for sha256 in hashes], pa.bool_())
    is_there = pa.array([sha256 is not None for sha256 in hashes], pa.bool_())
    data = pa.BinaryArray.from_buffers(
        pa.binary(),
        len(hashes),
        [
            is_there.buffers()[1],
            pa.array(offsets, pa.int32()).buffers()[1],
            pa.py_buffer(buffer[begin:used]),
        ],
    )
    fields = list(IMAGE)
    array = pa.StructArray.from_arrays(
        [data, pa.array(names, pa.string())], fields=fields, mask=is_null
    )
    return array, used
