"""Adds a source to the store: checked in parallel, written in batches, counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import PurePosixPath

from builder.images.sources.candidate import Candidate, RefusedFile
from builder.images.store import ImageStore
from builder.images.vetting import ImageRefusedError, Vetted, vet

_BATCH = 512
_BATCH_BYTES = 128 * 2**20
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "GIF": {".gif"},
}


@dataclass(slots=True)
class AddSummary:
    """Counts of a source's files.

    Args:
        num_seen: Files read.
        num_added: Images new to the store.
        num_present: Images that the store already had.
        num_misnamed: Images kept although their suffix belongs to another format.
        refused: Files refused, by reason.
    """

    num_seen: int = 0
    num_added: int = 0
    num_present: int = 0
    num_misnamed: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def add_images(
    store: ImageStore,
    files: Iterable[Candidate | RefusedFile],
    *,
    licence: str | None = None,
    source: str | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> AddSummary:
    """Adds every suitable image; an interruption keeps whole batches.

    Args:
        store: The store.
        files: Files of a source.
        licence: For files whose source states none.
        source: Prefix of each file's source, as in `SOURCE/path`.
        on_progress: Called with the number of files just added.
    """
    summary = AddSummary()
    stream = iter(files)
    with ThreadPoolExecutor() as pool:
        while batch := _next_batch(stream):
            checked = list(pool.map(lambda entry: _check(store, entry), batch))
            with store.batch():
                for entry, result in zip(batch, checked, strict=True):
                    _keep(store, entry, result, summary, licence, source)
            summary.num_seen += len(batch)
            if on_progress:
                on_progress(len(batch))
    return summary


def _next_batch(stream: Iterator[Candidate | RefusedFile]) -> list[Candidate | RefusedFile]:
    """The next files, limited in number and in bytes."""
    batch: list[Candidate | RefusedFile] = []
    num_bytes = 0
    for entry in islice(stream, _BATCH):
        batch.append(entry)
        num_bytes += len(entry.data) if isinstance(entry, Candidate) else 0
        if num_bytes > _BATCH_BYTES:
            break
    return batch


def _check(store: ImageStore, entry: Candidate | RefusedFile) -> Vetted | RefusedFile | None:
    """Facts about the file; None if the store already has it."""
    if isinstance(entry, RefusedFile):
        return entry
    if sha256(entry.data).hexdigest() in store:
        return None
    try:
        return vet(entry.data, store.limits)
    except ImageRefusedError as exc:
        return RefusedFile(entry.name, exc.reason, exc.what)


def _keep(
    store: ImageStore,
    entry: Candidate | RefusedFile,
    result: Vetted | RefusedFile | None,
    summary: AddSummary,
    licence: str | None,
    source: str | None,
) -> None:
    if isinstance(entry, RefusedFile) or isinstance(result, RefusedFile):
        refusal = entry if isinstance(entry, RefusedFile) else result
        assert isinstance(refusal, RefusedFile)
        store.refuse(refusal.name, refusal.reason, refusal.what)
        summary.refused[refusal.reason] += 1
        return
    before = len(entry.data) and sha256(entry.data).hexdigest() in store
    record = store.add(
        entry.data,
        group=entry.group,
        licence=entry.licence or licence or "unknown",
        source=f"{source}/{entry.source}" if source else entry.source,
        languages=entry.languages,
        vetted=result,
    )
    store.accept(entry.name)
    if before:
        summary.num_present += 1
        return
    summary.num_added += 1
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in set().union(*_SUFFIXES.values()) and suffix not in _SUFFIXES[record.format]:
        summary.num_misnamed += 1
