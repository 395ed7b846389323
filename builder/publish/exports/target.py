"""Reading a release for export, and a target directory that appears whole or not at all."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from schemas.errors import PolysceneError
from schemas.features import hub_features
from schemas.manifest import ReleaseManifest, ShardEntry, read_manifest
from schemas.shards import read_records
from schemas.vocabulary import CONFIG_OF_TASK

_GROUP_ROWS = 100

#: Hears how many rows were written, of how many.
Progress = Callable[[int, int], None]


class ExportError(PolysceneError):
    """An export cannot be written."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how it is read."""

    directory: Path
    num_rows: int
    num_files: int
    how_to_read: str


@dataclass(frozen=True, slots=True)
class Source:
    """A release to export."""

    directory: Path
    manifest: ReleaseManifest
    progress: Progress

    def shards(self) -> list[ShardEntry]:
        """Shards of samples in order of path."""
        configs = set(CONFIG_OF_TASK.values())
        return [entry for entry in self.manifest.shards if entry.config in configs]

    def rows(self) -> Iterator[tuple[ShardEntry, dict[str, Any]]]:
        """Every sample with the shard it stands in."""
        done = 0
        for entry in self.shards():
            for record in read_records(self.directory / entry.path):
                yield entry, record
                done += 1
                if done % _GROUP_ROWS == 0 or done == self.manifest.num_samples:
                    self.progress(done, self.manifest.num_samples)


def open_source(directory: Path, progress: Progress = lambda done, total: None) -> Source:
    return Source(directory, read_manifest(directory), progress)


@contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """A directory to write in, which takes its name at the end and is gone if anything fails.

    Raises:
        ExportError: The target is there and not empty, or the disk is full.
    """
    if target.exists() and any(target.iterdir()):
        raise ExportError(f"{target}: not empty. Name a new directory.")
    staging = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        yield staging
        if target.exists():
            target.rmdir()
        staging.rename(target)
    except OSError as exc:
        raise ExportError(
            f"{target}: could not be written: {exc.strerror or exc}. Free some space and run "
            "the same command again."
        ) from exc
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class RowWriter:
    """Parquet files of plain rows, one a config and split, with features `datasets` restores."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._schemas: dict[str, pa.Schema] = {}
        self._rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._writers: dict[tuple[str, str], pq.ParquetWriter] = {}

    def add(self, config: str, split: str, schema: pa.Schema, row: dict[str, Any]) -> None:
        """Takes a row; one config has one schema."""
        self._schemas[config] = schema
        rows = self._rows.setdefault((config, split), [])
        rows.append(row)
        if len(rows) == _GROUP_ROWS:
            self._flush(config, split)

    def close(self, note: str) -> int:
        """Writes what is left and a README with the configs; returns the number of files."""
        for config, split in list(self._rows):
            self._flush(config, split)
        for writer in self._writers.values():
            writer.close()
        configs: dict[str, list[dict[str, str]]] = {}
        for config, split in sorted(self._writers):
            files = {"split": split, "path": f"data/{config}/{split}.parquet"}
            configs.setdefault(config, []).append(files)
        head = [{"config_name": name, "data_files": files} for name, files in configs.items()]
        text = yaml.safe_dump({"configs": head}, sort_keys=False, allow_unicode=True)
        (self._directory / "README.md").write_text(f"---\n{text}---\n\n{note}\n", encoding="utf-8")
        return len(self._writers) + 1

    def _flush(self, config: str, split: str) -> None:
        rows = self._rows.pop((config, split), [])
        if not rows:
            return
        schema = self._schemas[config]
        writer = self._writers.get((config, split))
        if writer is None:
            info = {"info": {"features": hub_features(schema)}}
            footer = {"huggingface": orjson.dumps(info).decode()}
            path = self._directory / "data" / config / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(path, schema.with_metadata(footer), compression="zstd")
            self._writers[config, split] = writer
        writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
