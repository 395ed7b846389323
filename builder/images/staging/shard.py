"""What a worker found in a unit: a Parquet file with a row per image file."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from builder.engines import Storage
from builder.images.sources.candidate import Candidate, RefusedFile
from builder.images.staged import StagedFile
from builder.images.vetting import EXTENSIONS, Vetted

_ROWS_AT_ONCE = 64
_TEXTS = "name reason what source group licence caption alt_text"
_FACTS = "came_as sha256 format phash original_format"
_NUMBERS = "num_came_bytes num_bytes width height original_width original_height"
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in (*_TEXTS.split(), *_FACTS.split())),
        *((name, pa.int64()) for name in _NUMBERS.split()),
        ("is_encoded", pa.bool_()),
        ("data", pa.large_binary()),  # null where the worker wrote the image into the store
    ]
)
_BROKEN = "polyscene.broken"
_IN_STORE = "polyscene.in_store"

Finding = RefusedFile | tuple[Candidate, StagedFile]


class ShardWriter:
    """Writes a shard a few rows at a time, and publishes it as a whole when the block ends.

    Args:
        storage: Where shards are kept.
        name: Of the shard.
        in_store: Whether the images it names were written into the store.
    """

    def __init__(self, storage: Storage, name: str, *, in_store: bool = False) -> None:
        self._storage = storage
        self._name = name
        self._in_store = in_store
        self._rows: list[dict[str, Any]] = []
        self.broken: str | None = None
        self.num_rows = 0

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory()
        self._path = Path(self._directory.name) / "shard.parquet"
        self._writer = pq.ParquetWriter(self._path, _SCHEMA, compression="zstd")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _: BaseException | None,
        __: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
                if self.broken is not None:
                    self._writer.add_key_value_metadata({_BROKEN: self.broken})
                if self._in_store:
                    self._writer.add_key_value_metadata({_IN_STORE: "yes"})
            self._writer.close()
            if kind is None:
                self._storage.publish(self._path, file_name(self._name))
        finally:
            self._directory.cleanup()

    def add(self, finding: Finding) -> None:
        """Adds what was found in one file."""
        self._rows.append(_to_row(finding))
        self.num_rows += 1
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, _SCHEMA))
        self._rows.clear()


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard to read.

    Args:
        storage: Where it is kept.
        name: Its name.
    """

    storage: Storage
    name: str

    def broken(self) -> str | None:
        """What broke off the unit; None if it was read to its end."""
        with self.storage.open(file_name(self.name)) as handle, pq.ParquetFile(handle) as file:
            text = (file.metadata.metadata or {}).get(_BROKEN.encode())
            return text.decode() if text is not None else None

    def findings(self) -> Iterator[Finding]:
        """What was found, in the order of the files."""
        with self.storage.open(file_name(self.name)) as handle, pq.ParquetFile(handle) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                yield from map(_from_row, batch.to_pylist())

    def is_whole(self, has_file: Callable[[str], bool]) -> bool:
        """Whether it is readable, its unit was read to the end, and its images are in the store.

        Args:
            has_file: Whether the store has a file of this name.
        """
        try:
            with self.storage.open(file_name(self.name)) as handle, pq.ParquetFile(handle) as file:
                notes = file.metadata.metadata or {}
                if _BROKEN.encode() in notes:
                    return False
                return _IN_STORE.encode() not in notes or all(map(has_file, _stored_names(file)))
        except FileNotFoundError:
            return False
        except (OSError, pa.ArrowException):  # damaged: made again
            self.delete()
            return False

    def delete(self) -> None:
        self.storage.delete(file_name(self.name))


def _stored_names(file: pq.ParquetFile) -> Iterator[str]:
    for batch in file.iter_batches(columns=["sha256", "format"]):
        for row in batch.to_pylist():
            if row["sha256"] is not None:
                yield stored_name(row["sha256"], row["format"])


def stored_name(sha256: str, format: str) -> str:
    """Name of an image's file in the store."""
    return f"{sha256}.{EXTENSIONS[format]}"


def file_name(name: str) -> str:
    return f"{name}.parquet"


def _to_row(finding: Finding) -> dict[str, Any]:
    if isinstance(finding, RefusedFile):
        row = {"name": finding.name, "reason": finding.reason, "what": finding.what}
    else:
        candidate, staged = finding
        vetted = staged.vetted
        row = {name: getattr(candidate, name) for name in ("name", *_TEXTS.split()[3:])} | {
            "came_as": staged.came_as,
            "num_came_bytes": staged.num_came_bytes,
            "sha256": staged.sha256,
            "num_bytes": staged.num_bytes,
            "format": vetted.format,
            "width": vetted.width,
            "height": vetted.height,
            "phash": vetted.phash,
            "is_encoded": vetted.is_encoded,
            "original_format": vetted.original_format,
            "original_width": vetted.original_width,
            "original_height": vetted.original_height,
            "data": vetted.data or None,
        }
    return {
        key: _encodable(value) if isinstance(value, str) else value for key, value in row.items()
    }


def _from_row(row: dict[str, Any]) -> Finding:
    if row["reason"] is not None:
        return RefusedFile(row["name"], row["reason"], row["what"])
    candidate = Candidate(
        row["name"],
        b"",
        row["source"],
        row["group"],
        row["licence"],
        caption=row["caption"],
        alt_text=row["alt_text"],
    )
    vetted = Vetted(
        *(row["format"], row["width"], row["height"], row["phash"], row["data"] or b""),
        *(row["is_encoded"], row["original_format"]),
        *(row["original_width"], row["original_height"]),
    )
    numbers = row["num_came_bytes"], row["sha256"], row["num_bytes"]
    return candidate, StagedFile(row["came_as"], *numbers, vetted)


def _encodable(text: str) -> str:
    """Text that Arrow can hold; names of files may have unpaired surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
