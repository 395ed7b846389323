"""How a row came about: its record in the version's `provenance` config, read when asked for."""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation_app.data.version import DatasetError, VersionDataset

CONFIG = "provenance"
_NO_EXTENSIONS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True, slots=True)
class _Shard:
    """A file and the ids it can hold; None where its footer has no statistics."""

    path: Path
    first_id: str | None
    last_id: str | None

    def may_hold(self, sample_id: str) -> bool:
        if self.first_id is None or self.last_id is None:
            return True
        return self.first_id <= sample_id <= self.last_id


class Provenance:
    """The provenance records of one version; safe for many threads.

    Nothing is read before the first record is asked for, and then footers and
    the one row group that can hold the id.

        record = Provenance(dataset).of(sample_id)
        if record is not None:
            print(record["teacher_model"], record["revision"])
    """

    def __init__(self, version: VersionDataset) -> None:
        self._directory = version.directory
        entries = [shard for shard in version.manifest.shards if shard.config == CONFIG]
        self._paths = [version.directory / entry.path for entry in entries]
        self._lock = Lock()
        self._shards: list[_Shard] | None = None
        self._connection: Any = None

    @property
    def is_available(self) -> bool:
        """Whether the version has provenance and its files are on this machine."""
        return any(path.is_file() for path in self._paths)

    def of(self, sample_id: str) -> dict[str, Any] | None:
        """The record of one row, with the fields of `schemas.sample.Provenance`.

        Returns:
            Plain lists and dicts; None where the version has no provenance, its
            files were not fetched, or it has no such row.

        Raises:
            DatasetError: A file is damaged.
        """
        with self._lock:
            paths = [str(shard.path) for shard in self._opened() if shard.may_hold(sample_id)]
            if not paths:
                return None
            return self._find(paths, sample_id)

    def _find(self, paths: list[str], sample_id: str) -> dict[str, Any] | None:
        import duckdb

        if self._connection is None:
            self._connection = duckdb.connect(config=dict(_NO_EXTENSIONS))
        try:
            found = self._connection.execute(
                "SELECT * FROM read_parquet($paths) WHERE id = $id LIMIT 1",
                {"paths": paths, "id": sample_id},
            )
            names = [column[0] for column in found.description]
            row = found.fetchone()
        except duckdb.Error as exc:
            raise self._damaged(exc) from exc
        return None if row is None else dict(zip(names, row, strict=True))

    def _opened(self) -> list[_Shard]:
        if self._shards is None:
            self._shards = [_read_range(path) for path in self._paths if path.is_file()]
        return self._shards

    def _damaged(self, exc: Exception) -> DatasetError:
        return DatasetError(
            f"{self._directory}: its provenance cannot be read "
            f"({str(exc).splitlines()[0]}). Fetch or release the version again."
        )


def _read_range(path: Path) -> _Shard:
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid) as exc:
        raise DatasetError(
            f"{path}: not Parquet, though the manifest names it. "
            "Fetch or release the version again."
        ) from exc
    column = footer.schema.names.index("id")
    groups = [footer.row_group(g).column(column) for g in range(footer.num_row_groups)]
    statistics = [group.statistics for group in groups]
    if not statistics or any(entry is None or not entry.has_min_max for entry in statistics):
        return _Shard(path, None, None)
    return _Shard(
        path, min(entry.min for entry in statistics), max(entry.max for entry in statistics)
    )
