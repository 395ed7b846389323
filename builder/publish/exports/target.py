"""Reads a release for export, and writes a directory that appears complete or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.progress import Progress, no_progress
from schemas.errors import PolysceneError
from schemas.manifest import ReleaseManifest, ShardEntry, read_manifest
from schemas.shards import read_records
from schemas.vocabulary import CONFIG_OF_TASK

_ROWS_PER_REPORT = 100


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
        """Every sample with its shard."""
        done = 0
        for entry in self.shards():
            for record in read_records(self.directory / entry.path):
                yield entry, record
                done += 1
                if done % _ROWS_PER_REPORT == 0 or done == self.manifest.num_samples:
                    self.progress("export", done, self.manifest.num_samples)


def open_source(directory: Path, progress: Progress = no_progress) -> Source:
    return Source(directory, read_manifest(directory), progress)


@contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """A temporary directory, renamed to the target at the end and removed if anything fails.

    Raises:
        ExportError: The target exists and is not empty, or the disk is full.
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
