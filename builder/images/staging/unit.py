"""A part of a source that one worker reads: some files of a folder, a tar, or a Parquet file."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from builder.config import ImagesConfig
from builder.engines import EngineError, Storage, is_url
from builder.images.sources.candidate import Entry
from builder.images.sources.folder import read_files
from builder.images.sources.tables import TableError, read_parquet
from builder.images.sources.tar_stream import TarError
from builder.images.sources.webdataset import read_tars

#: Increased when code finds something else in the same files: shards of earlier code are not used.
_CODE_VERSION = 1
UnitKind = Literal["folder", "webdataset", "parquet"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How files are read and checked; part of the name of what is found in them.

    Args:
        limits: Of bytes, pixels and sides.
        group_by_folder: For a folder: images of one subfolder form one group.
        image_column: For Parquet: the column of images.
    """

    limits: ImagesConfig
    group_by_folder: bool = False
    image_column: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """What one worker reads at a time.

    Args:
        kind: How it is read.
        root: The folder: a path, or an address such as `s3://bucket/photos`.
        paths: Image files, or one tar or Parquet file, below the root.
        beside: Files that say something of the images; copied with them from an address.
        version: Changes when one of the files does.
        start: Of a tar or Parquet file: the first image to take, counted from 0.
        stop: The first image not to take; None for all.
    """

    kind: UnitKind
    root: str
    paths: tuple[str, ...]
    beside: tuple[str, ...] = ()
    version: str = ""
    start: int = 0
    stop: int | None = None

    def shard_name(self, options: ReadOptions) -> str:
        """Name of the shard, by the files and by how they are read."""
        limits = options.limits
        facts = (
            *(_CODE_VERSION, self.kind, self.root, self.paths, self.version, self.start, self.stop),
            *(limits.max_side_px, limits.min_side_px, limits.max_image_pixels),
            *(limits.max_image_bytes, options.group_by_folder, options.image_column),
        )
        return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()[:32]

    def entries(self, options: ReadOptions) -> Iterator[Entry]:
        """Reads the files, one image at a time, in the order in which the whole source is read.

        Raises:
            EngineError: The folder is out of this machine's reach.
            PolysceneError: At the end: the tar or Parquet file is damaged.
        """
        with ExitStack() as stack:
            root = Path(self.root)
            if is_url(self.root):
                root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                storage = Storage(self.root)
                for path in (*self.paths, *self.beside):
                    storage.fetch(path, root / path)
            elif not root.is_dir():
                raise EngineError(
                    f"{self.root}: a worker cannot see this folder. Put it on storage that all "
                    "machines mount at the same path, or name an address such as s3://."
                )
            yield from islice(self._read(root, options), self.start, self.stop)

    def _read(self, root: Path, options: ReadOptions) -> Iterator[Entry]:
        files = [root / path for path in self.paths]
        max_bytes = options.limits.max_image_bytes
        if self.kind == "folder":
            return read_files(root, files, max_bytes, group_by_folder=options.group_by_folder)
        if self.kind == "webdataset":
            return read_tars(files, max_bytes, root)
        return read_parquet(files, max_bytes, options.image_column, root)

    def halves(self, options: ReadOptions) -> "list[Unit]":
        """The unit in two parts; none if it is a single image."""
        if self.kind == "folder":
            middle = len(self.paths) // 2
            parts = self.paths[:middle], self.paths[middle:]
            return [replace(self, paths=paths) for paths in parts] if middle else []
        middle = self.start + self._num_entries(options) // 2
        if middle == self.start:
            return []
        # The last part reads to the end, where damage is noticed.
        return [replace(self, stop=middle), replace(self, start=middle)]

    def _num_entries(self, options: ReadOptions) -> int:
        if self.stop is not None:
            return self.stop - self.start
        number = 0
        with contextlib.suppress(TarError, TableError):  # noticed again by whoever reads it
            for _ in self.entries(options):
                number += 1
        return number
