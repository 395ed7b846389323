"""Brings a store that earlier code made into the normal form; names in plans and rows stay."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice

from builder.images.licences import spdx_id
from builder.images.normal import normal_of
from builder.images.record import ImageRecord, Original
from builder.images.store import ImageStore
from builder.images.vetting import Vetted, measured

_BATCH = 256


@dataclass(slots=True)
class NormaliseSummary:
    """What became of the images that were not known to be normal.

    Args:
        num_checked: How many there were.
        num_stripped: Of these, freed of metadata without touching a pixel.
        num_encoded: Of these, encoded again: turned upright, converted, or put on white.
        failed: Images that cannot be decoded: hash and why. They stay as they are.
    """

    num_checked: int = 0
    num_stripped: int = 0
    num_encoded: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def normalise_store(
    store: ImageStore, on_progress: Callable[[int], None] | None = None
) -> NormaliseSummary:
    """Brings every image into the normal form; an interruption keeps whole batches.

    Plans, rows in the ledger and review events go on naming an image as they
    did; what is sent, and published from now on, are its new bytes under their
    own hash. Releases made before stay as they are.
    """
    summary = NormaliseSummary()
    pending = (record for record in store.records() if not record.is_normal)
    while batch := list(islice(pending, _BATCH)):
        replaced: list[ImageRecord] = []
        with store.batch():
            for record in batch:
                if _normalise(store, record, summary):
                    replaced.append(record)
        for record in replaced:  # only now that the new rows are on disk
            store.delete_replaced(record)
        if on_progress:
            on_progress(len(batch))
    return summary


def _normalise(store: ImageStore, record: ImageRecord, summary: NormaliseSummary) -> bool:
    """Replaces one image's row; returns whether its bytes changed."""
    summary.num_checked += 1
    data = store.read(record.name).data
    try:
        normal = normal_of(data)
        vetted = measured(normal)
    except Exception as exc:  # decoders can raise anything on hostile bytes
        summary.failed.append((record.name, str(exc)))
        return False
    if normal.data == data:
        licence_id = spdx_id(record.licence)
        store.replace(replace(record, is_normal=True, licence_id=licence_id))
        return False
    store.replace(_brought_over(record, vetted), normal.data)
    summary.num_encoded += normal.is_encoded
    summary.num_stripped += not normal.is_encoded
    return True


def _brought_over(record: ImageRecord, vetted: Vetted) -> ImageRecord:
    original = Original(record.sha256, record.format, record.width, record.height, record.num_bytes)
    return replace(
        record,
        sha256=sha256(vetted.data).hexdigest(),
        format=vetted.format,
        width=vetted.width,
        height=vetted.height,
        num_bytes=len(vetted.data),
        phash=vetted.phash,
        is_normal=True,
        licence_id=spdx_id(record.licence),
        original=original,
    )
