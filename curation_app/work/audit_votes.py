"""From the votes on an audit's items to what each item is: sound, a defect, or not decided yet."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from curation_app.store.queues import QueueItem
from schemas.audit import AuditDesign
from schemas.review import Facet, ReviewEvent


@dataclass(frozen=True, slots=True)
class DecidedItem:
    """An item with all its votes, or settled by a lead.

    Args:
        is_unsettled: As many votes say defect as say none; it counts as one.
        facets: In which it fails.
    """

    item_id: str
    stratum: str
    is_defect: bool
    is_unsettled: bool
    facets: frozenset[Facet]


def is_defect_vote(event: ReviewEvent, design: AuditDesign) -> bool:
    """Whether a verdict says that what was published is a defect.

    A reject does; so does an edit, or the accept of somebody's edit, where the
    design counts edits.
    """
    if event.verdict == "reject":
        return True
    return design.edits_are_defects and (event.edits is not None or bool(event.seen_edit))


def decided_items(
    items: Sequence[QueueItem],
    votes: Iterable[ReviewEvent],
    adjudications: Iterable[ReviewEvent],
    design: AuditDesign,
) -> list[DecidedItem]:
    """The decided among an audit's rows, in the queue's order.

    A lead's verdict on the same content decides alone; else the majority of
    the votes, once there are as many as the design asks. A tie is a defect:
    doubt keeps a row out.
    """
    votes_of = _by_item(votes)
    settled_of = _by_item(adjudications)
    decided: list[DecidedItem] = []
    for item in items:
        given = votes_of.get(item.item_id, [])
        contents = {vote.content_hash for vote in given}
        final = [
            event
            for event in settled_of.get(item.item_id, [])
            if event.verdict is not None and (not contents or event.content_hash in contents)
        ]
        if final:
            decided.append(_decided(item, final[-1:], design))
        elif len(given) >= design.overlap:
            decided.append(_decided(item, given, design))
    return decided


def vote_counts(votes: Iterable[ReviewEvent], design: AuditDesign) -> np.ndarray:
    """How many votes call each item sound and how many a defect; shape (items, 2)."""
    by_item = _by_item(votes)
    counts = np.zeros((len(by_item), 2), dtype=np.int64)
    for index, given in enumerate(by_item.values()):
        for vote in given:
            counts[index, int(is_defect_vote(vote, design))] += 1
    return counts


def vote_table(
    votes: Iterable[ReviewEvent], design: AuditDesign
) -> tuple[np.ndarray, list[str], list[str]]:
    """Votes as 1 for a defect, 0 for none, NaN for no vote; with item ids and reviewers.

    Returns:
        Shape (items, reviewers), the items' ids and the reviewers' names.
    """
    given = list(votes)
    items = sorted({vote.sample_id for vote in given})
    reviewers = sorted({vote.reviewer for vote in given})
    row_of = {item: row for row, item in enumerate(items)}
    column_of = {reviewer: column for column, reviewer in enumerate(reviewers)}
    table = np.full((len(items), len(reviewers)), np.nan)
    for vote in given:
        table[row_of[vote.sample_id], column_of[vote.reviewer]] = is_defect_vote(vote, design)
    return table, items, reviewers


def _decided(item: QueueItem, votes: list[ReviewEvent], design: AuditDesign) -> DecidedItem:
    against = [vote for vote in votes if is_defect_vote(vote, design)]
    is_defect = len(against) > 0 and 2 * len(against) >= len(votes)
    facets: dict[Facet, int] = defaultdict(int)
    for vote in votes:
        for facet, verdict in vote.facets.items():
            facets[facet] += verdict == "reject"
    return DecidedItem(
        item_id=item.item_id,
        stratum=item.stratum,
        is_defect=is_defect,
        is_unsettled=2 * len(against) == len(votes),
        facets=frozenset(
            facet for facet, count in facets.items() if is_defect and 2 * count >= len(votes)
        ),
    )


def _by_item(events: Iterable[ReviewEvent]) -> dict[str, list[ReviewEvent]]:
    by_item: dict[str, list[ReviewEvent]] = {}
    for event in events:
        by_item.setdefault(event.sample_id, []).append(event)
    return by_item
