"""Samples that were judged in two versions, for the paired change of defects."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from schemas.review import ReviewEvent, fold_events
from schemas.review_rows import review_event
from schemas.shards import read_records


def rejected_by_version(
    store: ReviewStore, datasets: Iterable[VersionDataset]
) -> list[dict[str, bool]]:
    """Whether each judged sample is rejected, for each of the versions.

    Verdicts count for the version they were given on, and for the content it has there. They
    come from the store and from the reviews that the versions publish; an event
    in both counts once.
    """
    datasets = list(datasets)
    events = {event.event_id: event for dataset in datasets for event in _published(dataset)}
    events |= {event.event_id: event for event in store.events()}
    return [_rejected(list(events.values()), dataset) for dataset in datasets]


def _rejected(events: list[ReviewEvent], dataset: VersionDataset) -> dict[str, bool]:
    own = [event for event in events if event.dataset_version == dataset.version]
    states = fold_events(own)
    rows = {sample_id: dataset.row_of(sample_id) for sample_id, _ in states}
    present = {sample_id: row for sample_id, row in rows.items() if row is not None}
    hashes = dataset.content_hashes(list(present.values()))
    return {
        sample_id: state.is_rejected
        for (sample_id, content_hash), state in states.items()
        if sample_id in present and hashes[present[sample_id]] == content_hash and state.verdicts
    }


def _published(dataset: VersionDataset) -> list[ReviewEvent]:
    found = []
    for shard in dataset.manifest.shards:
        path: Path = dataset.directory / shard.path
        if shard.config != "reviews" or not path.is_file():
            continue
        for record in read_records(path):
            try:
                found.append(review_event(record))
            except (ValidationError, KeyError):
                continue  # of a later form than this program knows
    return found
