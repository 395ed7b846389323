"""Adds a source to the store: checked in parallel, written in batches, counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath

from builder.images.safety import SafetyModel
from builder.images.sources.candidate import Candidate, Entry, PresentFile, RefusedFile
from builder.images.staged import StagedFile
from builder.images.store import ImageStore
from builder.images.vetting import ImageRefusedError, Vetted, vet
from schemas.errors import PolysceneError

_BATCH = 512
_BATCH_BYTES = 128 * 2**20
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "GIF": {".gif"},
    "BMP": {".bmp"},
    "TIFF": {".tif", ".tiff"},
}


@dataclass(slots=True)
class AddSummary:
    """Counts of a source's files.

    Args:
        num_seen: Files read.
        num_added: Images new to the store.
        num_present: Images that the store already had.
        num_misnamed: Images kept although their suffix belongs to another format.
        num_stripped: Images added without the metadata their file had, pixels untouched.
        num_encoded: Images added that had to be encoded again: turned upright, converted.
        num_own_licence: Images added whose source states a licence.
        num_given_licence: Images added that took the licence given for the others.
        refused: Files refused, by reason.
        broken: What broke off the source or parts of it; what came before is added.
    """

    num_seen: int = 0
    num_added: int = 0
    num_present: int = 0
    num_misnamed: int = 0
    num_stripped: int = 0
    num_encoded: int = 0
    num_own_licence: int = 0
    num_given_licence: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    broken: PolysceneError | None = None


def add_images(
    store: ImageStore,
    files: Iterable[Entry],
    *,
    licence: str | None = None,
    source: str | None = None,
    safety: SafetyModel | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> AddSummary:
    """Adds every suitable image; an interruption keeps whole batches.

    Args:
        store: The store.
        files: Files of a source. If it breaks off, what came before is added, and the
            summary says why.
        licence: For files whose source states none.
        source: Prefix of each file's source, as in `SOURCE/path`; URLs stay as they are.
        safety: Refuses new images that it takes for unsafe.
        on_progress: Called with the number of files just added.
    """
    summary = AddSummary()
    stream = iter(files)
    with ThreadPoolExecutor() as pool:
        while batch := _next_batch(stream, summary):
            checked = list(pool.map(lambda entry: _check(store, entry), batch))
            if safety is not None:
                checked = _without_unsafe(safety, batch, checked)
            with store.batch():
                for entry, result in zip(batch, checked, strict=True):
                    keep(store, entry, result, summary, licence, source)
            summary.num_seen += len(batch)
            if on_progress:
                on_progress(len(batch))
    return summary


def _next_batch(stream: Iterator[Entry], summary: AddSummary) -> list[Entry]:
    """The next files, limited in number and in bytes."""
    batch: list[Entry] = []
    num_bytes = 0
    try:
        while len(batch) < _BATCH and num_bytes <= _BATCH_BYTES:
            entry = next(stream)
            batch.append(entry)
            num_bytes += len(entry.data) if isinstance(entry, Candidate) else 0
    except StopIteration:
        pass
    except PolysceneError as exc:  # what came before is whole
        summary.broken = exc
    return batch


def _check(store: ImageStore, entry: Entry) -> Vetted | RefusedFile | None:
    """Facts about the file; None if the store already has it."""
    if isinstance(entry, RefusedFile):
        return entry
    if isinstance(entry, PresentFile) or sha256(entry.data).hexdigest() in store:
        return None
    try:
        return vet(entry.data, store.limits)
    except ImageRefusedError as exc:
        return RefusedFile(entry.name, exc.reason, exc.what, entry.fetched_from)


def _without_unsafe(
    safety: SafetyModel, batch: Sequence[Entry], checked: Sequence[Vetted | RefusedFile | None]
) -> list[Vetted | RefusedFile | None]:
    """What was found, with refusals of images that are unsafe."""
    found = list(checked)
    new = [(at, one) for at, one in enumerate(found) if isinstance(one, Vetted)]
    words = safety.unsafe_words([vetted.data for _, vetted in new])
    for (at, _), said in zip(new, words, strict=True):
        entry = batch[at]
        if said is not None and isinstance(entry, Candidate):
            found[at] = RefusedFile(entry.name, "unsafe_image", said, entry.fetched_from)
    return found


def keep(
    store: ImageStore,
    entry: Entry,
    result: Vetted | StagedFile | RefusedFile | None,
    summary: AddSummary,
    licence: str | None,
    source: str | None,
) -> None:
    """Adds a file that was checked, or notes its refusal; counts it.

    Args:
        store: The store.
        entry: The file; without its bytes if a worker handled it.
        result: What the check found; None if the store has the file.
        summary: Counts are added to it.
        licence: As `add_images` has it.
        source: The same.
    """
    if isinstance(entry, PresentFile):
        summary.num_present += 1
        return
    if isinstance(entry, RefusedFile) or isinstance(result, RefusedFile):
        refusal = entry if isinstance(entry, RefusedFile) else result
        assert isinstance(refusal, RefusedFile)
        store.refuse(refusal.name, refusal.reason, refusal.what)
        if refusal.fetched_from is not None:
            store.note_fetched(refusal.fetched_from, refusal.reason, refusal.what)
        summary.refused[refusal.reason] += 1
        return
    num_before = store.num_inserted
    store.add(
        entry.data,
        group=entry.group,
        licence=entry.licence or licence or "unknown",
        source=_origin(entry.source, source),
        languages=entry.languages,
        caption=entry.caption,
        alt_text=entry.alt_text,
        vetted=result if isinstance(result, Vetted) else None,
        staged=result if isinstance(result, StagedFile) else None,
    )
    store.accept(entry.name)
    if entry.fetched_from is not None:
        store.note_fetched(entry.fetched_from)
    if result is None or store.num_inserted == num_before:
        summary.num_present += 1
        return
    _count_added(entry, result, summary, licence)


def _count_added(
    entry: Candidate, result: Vetted | StagedFile, summary: AddSummary, licence: str | None
) -> None:
    vetted = result.vetted if isinstance(result, StagedFile) else result
    is_same = result.is_unchanged if isinstance(result, StagedFile) else vetted.data is entry.data
    summary.num_added += 1
    summary.num_encoded += vetted.is_encoded
    summary.num_stripped += not vetted.is_encoded and not is_same
    summary.num_own_licence += entry.licence is not None
    summary.num_given_licence += entry.licence is None and licence is not None
    suffix = PurePosixPath(entry.name).suffix.lower()
    known = set().union(*_SUFFIXES.values())
    if suffix in known and suffix not in _SUFFIXES.get(vetted.original_format, set()):
        summary.num_misnamed += 1


def _origin(entry_source: str, prefix: str | None) -> str:
    """A file's source as published; a URL says enough by itself."""
    if prefix is None or entry_source.lower().startswith(("http://", "https://")):
        return entry_source
    return f"{prefix}/{entry_source}"
