"""Adjudication: items on which the votes of a queue disagree, and what their reviewers said."""

from typing import Any

from curation_app.store import ReviewStore
from curation_app.store.queues import QueueItem, QueueRow
from curation_app.work.people import Person
from curation_app.work.queues import Queues
from schemas.errors import PolysceneError
from schemas.review import ReviewEvent, in_order

_MAX_TITLE_CHARS = 120


class AdjudicationError(PolysceneError):
    """An adjudication cannot be begun."""


def disagreements(queues: Queues, store: ReviewStore, queue_id: str) -> list[QueueItem]:
    """Items of a queue whose votes differ in verdict or edits and that no lead has settled since.

    Seeded defects are left out: what is true of them is known.
    """
    by_item: dict[str, list[ReviewEvent]] = {}
    for item_id, _, event_id in queues.votes(queue_id):
        event = store.event(event_id)
        if event is not None:
            by_item.setdefault(item_id, []).append(event)
    disputed = {
        item_id
        for item_id, votes in by_item.items()
        if _differ(votes) and not _is_settled(store, votes)
    }
    return [item for item in queues.items(queue_id) if item.item_id in disputed]


def start_adjudication(
    queues: Queues, store: ReviewStore, queue_id: str, *, lead: Person
) -> QueueRow:
    """Makes the queue in which a lead settles the disagreements of another.

    Raises:
        AdjudicationError: The person is not a lead, or nothing is in dispute.
    """
    title = queues.get(queue_id).title
    if not lead.is_lead:
        raise AdjudicationError(f"{lead.name} is not a lead. Ask a lead to settle it.")
    items = disagreements(queues, store, queue_id)
    if not items:
        raise AdjudicationError(f'queue "{title}": its votes agree, so there is nothing to settle.')
    return queues.create(
        title=f"Settle: {title}"[:_MAX_TITLE_CHARS],
        origin="adjudication",
        items=items,
        created_by=lead.name,
    )


def who_said_what(store: ReviewStore, sample_id: str, content_hash: str) -> list[dict[str, Any]]:
    """The standing act of each reviewer on a content of a row, as plain JSON, oldest first."""
    latest: dict[str, ReviewEvent] = {}
    for event in _standing(store, sample_id, content_hash):
        if event.kind != "skip":
            latest.pop(event.reviewer, None)
            latest[event.reviewer] = event
    return [
        {
            "reviewer": event.reviewer,
            "ts": event.ts,
            "kind": event.kind,
            "verdict": event.verdict,
            "reasons": list(event.reasons),
            "facets": dict(event.facets),
            "note": event.note,
            "edits": event.edits.model_dump(exclude_none=True) if event.edits else None,
        }
        for event in latest.values()
    ]


def _differ(votes: list[ReviewEvent]) -> bool:
    verdicts = {vote.verdict for vote in votes}
    edits = [vote.edits for vote in votes]
    return len(verdicts) > 1 or any(edit != edits[0] for edit in edits)


def _is_settled(store: ReviewStore, votes: list[ReviewEvent]) -> bool:
    last = in_order(votes)[-1]
    standing = _standing(store, last.sample_id, last.content_hash)
    return any(event.kind == "adjudicate" and event.seq > last.seq for event in standing)


def _standing(store: ReviewStore, sample_id: str, content_hash: str) -> list[ReviewEvent]:
    events = in_order(store.events_of(sample_id))
    undone = {event.undoes for event in events if event.kind == "undo"}
    return [
        event
        for event in events
        if event.kind != "undo"
        and event.event_id not in undone
        and event.content_hash == content_hash
    ]
