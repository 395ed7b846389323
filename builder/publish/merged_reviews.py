"""Merges the review events of a published version with a workspace's own."""

from collections.abc import Iterable
from dataclasses import dataclass

from builder.disk import sync
from builder.publish.published_reviews import published_events
from builder.release.compare import ComparedVersion
from builder.release.review_sources import review_sources
from builder.workspace import Workspace
from schemas.review import ReviewEvent, merge_events, write_events
from schemas.review_store import read_reviews


@dataclass(frozen=True, slots=True)
class MergedReviews:
    """The events of both sides.

    Args:
        events: All of them, each once, in the order they happened.
        theirs: Those of the published version.
        export: What the workspace's `reviews.jsonl` has afterwards: its events and theirs. Its
            review store stays as it is, since people may be writing to it.
        num_new: How many of theirs the workspace lacked.
        edited_by_both: Ids of rows that each side edited without knowing of the other's edit.
    """

    events: list[ReviewEvent]
    theirs: list[ReviewEvent]
    export: list[ReviewEvent]
    num_new: int
    edited_by_both: list[str]


def merge_reviews(workspace: Workspace, theirs: ComparedVersion, name: str) -> MergedReviews:
    """Merges events as `curation_app merge` does; changes nothing.

    Args:
        workspace: Has its own events in `reviews.jsonl` and `reviews.sqlite`.
        theirs: The published version.
        name: What the version is called in errors.

    Raises:
        ReviewConflictError: Both sides hold different events under one id.
    """
    published = list(published_events(theirs))
    own = {path: list(read_reviews(path)) for path in review_sources(workspace, ())}
    sources = [(str(path), events) for path, events in own.items()]
    known = {event.event_id for events in own.values() for event in events}
    known_there = {event.event_id for event in published}
    everything = merge_events([*sources, (name, published)])
    exported = own.get(workspace.reviews_path, [])
    return MergedReviews(
        events=everything,
        theirs=published,
        export=merge_events([(str(workspace.reviews_path), exported), (name, published)]),
        num_new=len(known_there - known),
        edited_by_both=sorted(
            _edited(event for event in everything if event.event_id not in known)
            & _edited(event for event in everything if event.event_id not in known_there)
        ),
    )


def save_reviews(workspace: Workspace, reviews: MergedReviews) -> None:
    """Writes `reviews.jsonl` at once: after a kill it has the old events or all."""
    path = workspace.reviews_path
    temporary = path.with_name(f"{path.name}.part")
    write_events(temporary, reviews.export)
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def _edited(events: Iterable[ReviewEvent]) -> set[str]:
    return {event.sample_id for event in events if event.edits is not None}
