"""What a worker does with a unit: reads, checks, hashes, brings into the normal form, notes."""

import os
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from builder.engines import EngineError, Storage, worker_name
from builder.images.blobs import Blobs
from builder.images.sources.candidate import Candidate, Entry, RefusedFile
from builder.images.staged import StagedFile
from builder.images.staging.shard import Finding, ShardWriter, stored_name
from builder.images.staging.unit import ReadOptions, Unit
from builder.images.vetting import ImageRefusedError, vet
from schemas.errors import PolysceneError


@dataclass(frozen=True, slots=True)
class LookJob:
    """The same for all units.

    Args:
        staging: Path or address of the shards.
        store_directory: Of the image store.
        token: Name of a file in it; a worker that sees it writes images there itself.
        options: How files are read and checked.
    """

    staging: str
    store_directory: str
    token: str
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class UnitReport:
    """What was done for a unit; the findings are in its shard."""

    worker: str
    num_files: int
    seconds: float


def look(job: LookJob, unit: Unit) -> UnitReport:
    """Looks at every file of a unit and publishes the shard; one image is in memory at a time."""
    started_s = time.monotonic()
    store = Path(job.store_directory)
    sees_store = (store / job.token).exists()
    blobs = Blobs(store / "blobs") if sees_store else None
    storage = Storage(job.staging)
    if storage.directory is not None and not storage.directory.is_dir():
        raise EngineError(
            f"{job.staging}: a worker cannot see this folder. Put the workspace on storage that "
            "all machines mount at the same path, or name an address with --staging s3://…"
        )
    if blobs:
        blobs.begin_batch()
    with ShardWriter(storage, unit.shard_name(job.options), in_store=sees_store) as writer:
        try:
            for entry in unit.entries(job.options):
                writer.add(_finding(entry, job.options, blobs))
        except EngineError:
            raise
        except PolysceneError as exc:  # damage; what stands before is kept
            writer.broken = str(exc)
        if blobs and writer.num_rows:
            os.sync()  # images are on disk before the shard that names them
    return UnitReport(worker_name(), writer.num_rows, time.monotonic() - started_s)


def _finding(entry: Entry, options: ReadOptions, blobs: Blobs | None) -> Finding:
    if isinstance(entry, RefusedFile):
        return entry
    assert isinstance(entry, Candidate), "only tables of URLs know files that are present"
    try:
        vetted = vet(entry.data, options.limits)
    except ImageRefusedError as exc:
        return RefusedFile(entry.name, exc.reason, exc.what)
    came_as = sha256(entry.data).hexdigest()
    stored_as = came_as if vetted.data is entry.data else sha256(vetted.data).hexdigest()
    num_bytes = len(vetted.data)
    if blobs is not None:
        name = stored_name(stored_as, vetted.format)
        if not blobs.path(name).exists():
            blobs.write(name, vetted.data)
        vetted = replace(vetted, data=b"")
    staged = StagedFile(came_as, len(entry.data), stored_as, num_bytes, vetted)
    return replace(entry, data=b""), staged
