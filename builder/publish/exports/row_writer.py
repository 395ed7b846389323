"""Parquet files of plain rows, with features that `datasets` restores."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from builder.publish.exports.readme import DataFiles, write_readme
from builder.publish.exports.target import Source
from schemas.features import with_footer

_GROUP_ROWS = 100


class RowWriter:
    """Writes one file per config and split, and the README that loads them.

    Args:
        directory: The export's.
        source: The release that is exported.
    """

    def __init__(self, directory: Path, source: Source) -> None:
        self._directory = directory
        self._source = source
        self._schemas: dict[str, pa.Schema] = {}
        self._rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._writers: dict[tuple[str, str], pq.ParquetWriter] = {}

    def add(self, config: str, split: str, schema: pa.Schema, row: dict[str, Any]) -> None:
        """Adds a row; one config has one schema."""
        self._schemas[config] = schema
        rows = self._rows.setdefault((config, split), [])
        rows.append(row)
        if len(rows) == _GROUP_ROWS:
            self._flush(config, split)

    def close(self, note: str) -> int:
        """Writes what is left, and how to read it; returns the number of files.

        Args:
            note: The layout of the rows, to follow "Version 0.1.0 of NAME".
        """
        for config, split in list(self._rows):
            self._flush(config, split)
        for writer in self._writers.values():
            writer.close()
        files: DataFiles = {}
        for config, split in sorted(self._writers):
            files.setdefault(config, {})[split] = f"data/{config}/{split}.parquet"
        return len(self._writers) + write_readme(self._directory, self._source, files, note)

    def _flush(self, config: str, split: str) -> None:
        rows = self._rows.pop((config, split), [])
        if not rows:
            return
        schema = self._schemas[config]
        writer = self._writers.get((config, split))
        if writer is None:
            path = self._directory / "data" / config / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(path, with_footer(schema), compression="zstd")
            self._writers[config, split] = writer
        writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
