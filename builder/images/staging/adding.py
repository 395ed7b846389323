"""Adds units to a store: workers look at them, the driver merges their shards in order."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from builder.engines import ChunkPlan, Engine, Storage, WorkerRates, is_url
from builder.images.adding import AddSummary, keep
from builder.images.database import ImageStoreError
from builder.images.sources.candidate import RefusedFile
from builder.images.sources.choose import Kind
from builder.images.staging.listing import local_units, remote_units
from builder.images.staging.look import LookJob, UnitReport, look
from builder.images.staging.shard import Finding, Shard, ShardWriter, stored_name
from builder.images.staging.unit import ReadOptions, Unit, UnitKind
from builder.images.store import ImageStore
from schemas.errors import PolysceneError

_KINDS: tuple[UnitKind, ...] = ("folder", "webdataset", "parquet")
_ROWS_PER_BATCH = 512
_CRASHED = "a worker died each time it read this file"


@dataclass(frozen=True, slots=True)
class StagedSource:
    """A source as units.

    Args:
        kind: Folder, webdataset or parquet.
        units: Listed as they are requested.
    """

    kind: UnitKind
    units: Iterator[Unit]


@dataclass(slots=True)
class StagingSummary:
    """Counts of a source's files, and how the work was shared.

    Args:
        files: As for a source that this process reads by itself.
        rates: What each worker did in this run.
        num_units: Units merged.
        num_resumed: Units that an earlier run had looked at.
        num_deaths: How often a worker died.
        num_broken: Units that could not be read to their end; `files.broken` names the first.
    """

    files: AddSummary = field(default_factory=AddSummary)
    rates: WorkerRates = field(default_factory=WorkerRates)
    num_units: int = 0
    num_resumed: int = 0
    num_deaths: int = 0
    num_broken: int = 0

    def line(self, engine: str) -> str:
        """How the work was shared, for people."""
        parts = [f"{engine}: {self.rates.line('files') or 'no worker was needed'}"]
        if self.num_resumed:
            parts.append(f"{self.num_resumed:,} of {self.num_units:,} parts were done before")
        if self.num_deaths:
            parts.append(f"workers died {self.num_deaths:,} times, their work was done again")
        return "; ".join(parts)


def open_units(name: str, kind: Kind | None) -> StagedSource | None:
    """A source as units; None if its kind can only be read by one process.

    Args:
        name: A path, or an address such as `s3://bucket/photos`.
        kind: Of a path, as it was detected; of an address, as the user named it, or None.
    """
    if is_url(name):
        return StagedSource(*remote_units(name, kind))
    if kind in _KINDS:
        return StagedSource(kind, local_units(Path(name), kind))
    return None


def add_staged(
    store: ImageStore,
    source: StagedSource,
    engine: Engine,
    options: ReadOptions,
    *,
    staging: str | None = None,
    licence: str | None = None,
    origin: str | None = None,
    limit: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    look_at: Callable[[LookJob, Unit], UnitReport] = look,
) -> StagingSummary:
    """Adds every suitable image of the units; what an earlier run found is not looked for again.

    Args:
        store: The store; only this process writes its database.
        source: The units. Of equal files the first counts, whichever worker was faster.
        engine: Runs the workers.
        options: How files are read and checked.
        staging: Path or address of the shards; a folder of the store if None.
        licence: For files whose source states none.
        origin: Prefix of each file's source.
        limit: Stops after this many files.
        on_progress: Called with the number of files just added.
        look_at: What workers run.

    Raises:
        EngineError: Workers cannot see the files, or no worker can run.
        ImageStoreError: An image that a shard names is gone; the shard was deleted.
    """
    staging = staging or str(store.directory.absolute() / "staging")
    storage = Storage(staging)
    if storage.directory is not None:
        storage.directory.mkdir(parents=True, exist_ok=True)
        for leftover in storage.directory.glob("*.part"):
            leftover.unlink()
    merger = _Merger(store, licence, origin, on_progress)
    summary = merger.summary
    num_deaths, num_resumed = engine.num_deaths, engine.num_resumed
    with _token(store.directory) as token:
        job = LookJob(staging, str(store.directory.absolute()), token, options)
        plan = _UnitPlan(store, storage, options)
        for unit, report in engine.map_chunks(look_at, source.units, job, plan=plan):
            if report.num_files:
                summary.rates.add(report.worker, report.num_files, report.seconds)
            room = None if limit is None else limit - summary.files.num_seen
            merger.merge(Shard(storage, unit.shard_name(options)), room)
            if limit is not None and summary.files.num_seen >= limit:
                break
    summary.num_deaths = engine.num_deaths - num_deaths
    summary.num_resumed = engine.num_resumed - num_resumed
    if summary.num_broken > 1:
        others = f"{summary.num_broken - 1:,} more parts of the source are damaged"
        summary.files.broken = PolysceneError(f"{summary.files.broken} Also, {others}.")
    return summary


class _UnitPlan(ChunkPlan[Unit, UnitReport]):
    """Knows units by their shards, and what was split by a marker beside them."""

    def __init__(self, store: ImageStore, storage: Storage, options: ReadOptions) -> None:
        self._store = store
        self._storage = storage
        self._options = options

    def pieces(self, chunk: Unit) -> Sequence[Unit]:
        if not self._storage.exists(self._marker(chunk)):
            return [chunk]
        halves = chunk.halves(self._options)
        return [piece for half in halves for piece in self.pieces(half)]

    def finished(self, chunk: Unit) -> UnitReport | None:
        shard = Shard(self._storage, chunk.shard_name(self._options))
        is_whole = shard.is_whole(self._store.has_file)
        return UnitReport("", 0, 0.0) if is_whole else None

    def split(self, chunk: Unit) -> Sequence[Unit]:
        halves = chunk.halves(self._options)
        if halves:
            self._storage.publish_bytes(b"", self._marker(chunk))
        return halves

    def refuse(self, chunk: Unit, what: str) -> UnitReport:
        entries = islice(chunk.entries(self._options), 1)  # read, not decoded
        name = next((entry.name for entry in entries), chunk.paths[0])
        with ShardWriter(self._storage, chunk.shard_name(self._options)) as writer:
            writer.add(RefusedFile(name, "worker_crashed", f"{_CRASHED} ({what})"))
        return UnitReport("", 0, 0.0)

    def _marker(self, chunk: Unit) -> str:
        return f"{chunk.shard_name(self._options)}.split"


@contextmanager
def _token(directory: Path) -> Iterator[str]:
    """A file in the store that tells workers whether they see the store."""
    name = f"writer-{secrets.token_hex(8)}"
    (directory / name).touch()
    try:
        yield name
    finally:
        (directory / name).unlink(missing_ok=True)


class _Merger:
    """Adds what shards name to the store, one after the other.

    Args:
        store: The store.
        licence: As `add_staged` has it.
        origin: The same.
        on_progress: The same.
    """

    def __init__(
        self,
        store: ImageStore,
        licence: str | None,
        origin: str | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self._store = store
        self._licence = licence
        self._origin = origin
        self._on_progress = on_progress
        self.summary = StagingSummary()

    def merge(self, shard: Shard, max_files: int | None) -> None:
        """Adds a shard in batches."""
        files = self.summary.files
        stream = islice(shard.findings(), max_files)
        while findings := list(islice(stream, _ROWS_PER_BATCH)):
            with self._store.batch():
                for finding in findings:
                    self._keep(shard, finding)
            files.num_seen += len(findings)
            if self._on_progress:
                self._on_progress(len(findings))
        self.summary.num_units += 1
        broken = shard.broken()
        if broken is not None:
            self.summary.num_broken += 1
            files.broken = files.broken or PolysceneError(broken)

    def _keep(self, shard: Shard, finding: Finding) -> None:
        files = self.summary.files
        if isinstance(finding, RefusedFile):
            keep(self._store, finding, finding, files, self._licence, self._origin)
            return
        candidate, staged = finding
        file_name = stored_name(staged.sha256, staged.vetted.format)
        if not staged.vetted.data and not self._store.has_file(file_name):
            shard.delete()
            raise ImageStoreError(
                f"{self._store.directory}: the file of image {staged.sha256[:12]}… is gone. Add "
                "the images again: those files are read anew."
            )
        keep(self._store, candidate, staged, files, self._licence, self._origin)
