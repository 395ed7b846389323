"""Joins the reviews of several stores into one export."""

from collections.abc import Iterable
from pathlib import Path

from curation_app.store.events import EventConflict
from schemas.review import ReviewConflictError, ReviewEvent, merge_events
from schemas.review_store import read_reviews


def merge_reviews(sources: Iterable[Path]) -> list[ReviewEvent]:
    """Events of stores and exports, each once, in the order they happened and numbered anew.

    Raises:
        EventConflict: Two sources hold different events under one id.
        ReviewSourceError: A source cannot be read.
        RowError: A line of an export is not an event.
    """
    try:
        return merge_events((str(source), read_reviews(source)) for source in sources)
    except ReviewConflictError as exc:
        raise EventConflict(str(exc)) from exc
