"""Joins the reviews of several stores into one export."""

from collections.abc import Iterable
from pathlib import Path

from curation_app.store.events import EventConflict
from schemas.review import ReviewEvent, in_order
from schemas.review_store import read_reviews


def merge_reviews(sources: Iterable[Path]) -> list[ReviewEvent]:
    """Events of stores and exports, each once, in the order they happened and numbered anew.

    Raises:
        EventConflict: Two sources hold different events under one id.
        ReviewSourceError: A source cannot be read.
        RowError: A line of an export is not an event.
    """
    events: dict[str, ReviewEvent] = {}
    origin: dict[str, Path] = {}
    for source in sources:
        for event in read_reviews(source):
            known = events.setdefault(event.event_id, event)
            first = origin.setdefault(event.event_id, source)
            if known.model_copy(update={"seq": event.seq}) != event:
                raise EventConflict(
                    f'event "{event.event_id}": {first} and {source} hold it with different '
                    "content. One of them was changed by hand; export it again."
                )
    ordered = in_order(events.values())
    return [event.model_copy(update={"seq": seq}) for seq, event in enumerate(ordered, 1)]
