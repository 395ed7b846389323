"""What was found of evaluation sets in a workspace, so that it stays out whatever is made again."""

from collections.abc import Iterator

import orjson

from builder.ledger.ledger import Ledger

#: Reasons of samples that are dropped for it.
IMAGE_REASON = "image_in_evaluation_set"
TEXT_REASON = "text_in_evaluation_set"
_IMAGES = "images in evaluation sets"
_SAMPLES = "texts in evaluation sets"


def remember_matches(ledger: Ledger, images: set[str], sample_ids: set[str]) -> None:
    """Adds images, and ids of samples whose texts were found, to those known."""
    for name, found in ((_IMAGES, images), (_SAMPLES, sample_ids)):
        ledger.set_meta(name, orjson.dumps(sorted(found | _known(ledger, name))).decode())


def samples_to_compare(ledger: Ledger) -> Iterator[tuple[bool, bytes]]:
    """Whether it is kept, and the sample as JSON, in job order.

    Those that were dropped are among them: a gate, a choice or `reparse` may keep them again.
    """
    yield from ledger.db.execute(
        "SELECT reason IS NULL, sample FROM outcome WHERE sample IS NOT NULL ORDER BY round, idx"
    )


def drop_matches(ledger: Ledger) -> dict[str, int]:
    """Drops kept samples with such an image or text; returns their number by reason."""
    images, samples = _known(ledger, _IMAGES), _known(ledger, _SAMPLES)
    if not images and not samples:
        return {}
    reasons: dict[str, str] = {}
    for job_id, raw in ledger.kept_in_job_order():
        row = orjson.loads(raw)
        if not images.isdisjoint(images_of(row)):
            reasons[job_id] = IMAGE_REASON
        elif row["id"] in samples:
            reasons[job_id] = TEXT_REASON
    ledger.drop(reasons)
    counts: dict[str, int] = {IMAGE_REASON: 0, TEXT_REASON: 0}
    for reason in reasons.values():
        counts[reason] += 1
    return {reason: num for reason, num in counts.items() if num}


def images_of(row: dict[str, object]) -> list[object]:
    """Hashes of all images of a sample."""
    negatives = row["negative_images"]
    assert isinstance(negatives, list)
    found = [row["query_image"], row["positive_image"], *negatives]
    return [sha256 for sha256 in found if sha256 is not None]


def _known(ledger: Ledger, name: str) -> set[str]:
    return set(orjson.loads(ledger.meta(name) or "[]"))
