"""The reviewer's desk: which item lies open, what its card says, what becomes of a decision."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from curation_app.data.provenance import Provenance
from curation_app.data.release_policy import read_release_policy
from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore, Seen
from curation_app.store.queues import Lease, QueueRow
from curation_app.work.browsing import Browsing, Filters, Step
from curation_app.work.cards import Cards, is_revealed, scores
from curation_app.work.decisions import (
    UI_VERSION,
    Circumstances,
    Decision,
    DecisionError,
    edit_problems,
    review_event,
)
from curation_app.work.guidelines import Guidelines
from curation_app.work.people import Person
from curation_app.work.progress import Counts, ReviewProgress
from curation_app.work.queues import LEASE_S, Queues
from curation_app.work.seeds import Seeds
from schemas.edits import EditError
from schemas.errors import RowError
from schemas.review import Edits, ReviewEvent
from schemas.sample import Sample
from schemas.vocabulary import LANGUAGES

_NUM_AHEAD = 2
#: Said on a card without a word of which text it is: a reviewer is to find that alone.
SHOWN_EARLY = (
    "Shown early: an embedding model finds this sample unusual. It may still be right; judge it "
    "like any other."
)
_NUM_UNDOS_KEPT = 1_000


def utc_now() -> datetime:
    return datetime.now(UTC)


class ReviewDesk:
    """One version, one store, any number of reviewers; what it returns is plain JSON."""

    def __init__(
        self,
        dataset: VersionDataset,
        store: ReviewStore,
        *,
        queues: Queues | None = None,
        guidelines: Guidelines | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.dataset = dataset
        self.store = store
        self.progress = ReviewProgress(dataset, store)
        self.queues = queues or Queues(store.database, dataset.version)
        self.guidelines = guidelines or Guidelines(store.database)
        self.browsing = Browsing(dataset, self.progress, self.queues)
        self.seeds = Seeds(dataset, store, clock=clock)
        self.cards = Cards(dataset, store, self.progress, Provenance(dataset), self.seeds)
        self._text_rules = read_release_policy(dataset.directory, dataset.manifest).text_rules
        self._clock = clock
        self._undone_seeds: OrderedDict[str, ReviewEvent] = OrderedDict()

    def overview(self, person: Person | None = None) -> dict[str, Any]:
        """What a page needs once: the version's name, values to filter by, queues to choose."""
        languages = self.dataset.counts("language")
        readable = [code for code in languages if person is None or person.reads(code)]
        return {
            "name": self.dataset.manifest.name,
            "version": self.dataset.version,
            "languages": [
                {"value": code, "label": LANGUAGES[code].name, "count": languages[code]}
                for code in sorted(readable, key=lambda code: LANGUAGES[code].name)
            ],
            "num_suspects": len(self.browsing.suspects),
            "task_types": _options(self.dataset.counts("task_type")),
            "modalities": _options(self.dataset.counts("modality")),
            "queues": []
            if person is None
            else [
                {"value": queue.queue_id, "label": queue.title}
                for queue in self.queues.all()
                if may_open(queue, person)
            ],
        }

    def find(
        self,
        person: Person,
        filters: Filters,
        *,
        sample_id: str | None = None,
        step: Step = "next",
    ) -> tuple[int | None, Lease | None]:
        """The row to show while browsing, and the hold on it; see `Browsing.find`."""
        return self.browsing.find(person, filters, sample_id=sample_id, step=step)

    def view(
        self, person: Person, filters: Filters, row: int | None, lease: Lease | None = None
    ) -> dict[str, Any]:
        """What the page shows while browsing: the card at a row, counts, and what comes next."""
        self.progress.refresh()
        rows = self.browsing.rows(person, filters)
        left = np.flatnonzero(rows & self.progress.matching(filters.status, person.name))
        skipped = rows & self.progress.matching("skipped", person.name)
        following = [] if row is None else self.browsing.following(left, row, filters, _NUM_AHEAD)
        sample_ids = [self.dataset.sample_id(next_row) for next_row in following]
        return {
            **self._shared(person, lease),
            "card": None
            if row is None
            else self.cards.card(self.dataset.sample_id(row), person.name),
            "shown_early": self._shown_early(row, filters),
            "queue": None,
            "num_matching": len(left),
            "num_in_filter": int(np.count_nonzero(rows)),
            "num_skipped": int(np.count_nonzero(skipped)),
            "num_decided": self.progress.counts(rows).reviewed,
            "upcoming": self._images(sample_ids, person, None),
        }

    def _shown_early(self, row: int | None, filters: Filters) -> str | None:
        """Why a row comes before others, in one line that does not say what may be wrong."""
        is_early = row is not None and row in self.browsing.suspects and filters.order is None
        return SHOWN_EARLY if is_early and filters.status == "unreviewed" else None

    def open_queue(
        self, person: Person, queue_id: str, *, after: str | None = None
    ) -> tuple[QueueRow, Lease | None]:
        """A queue and the item of it that is held for this person now.

        Args:
            after: Item to go on from; None comes back to the one held already.

        Raises:
            QueueError: There is no such queue, it is closed, or not for them.
        """
        queue = self.queue(queue_id, person)
        return queue, self.queues.claim(queue_id, person, after=after)

    def view_queue(
        self, person: Person, queue: QueueRow, item_id: str | None, lease: Lease | None = None
    ) -> dict[str, Any]:
        """What the page shows of a queue: an item's card and how far the queue is."""
        self.progress.refresh()
        progress = self.queues.progress(queue.queue_id)
        return {
            **self._shared(person, lease),
            "card": None if item_id is None else self.cards.card(item_id, person.name, queue),
            "shown_early": None,
            "queue": {
                "queue_id": queue.queue_id,
                "title": queue.title,
                "mode": queue.mode,
                "origin": queue.origin,
                "is_blind": queue.is_blind,
                "overlap": queue.overlap,
                "num_items": progress.num_items,
                "num_done": progress.num_done,
                "num_mine": self.queues.num_votes_of(queue.queue_id, person.name),
            },
            "num_matching": progress.num_items - progress.num_done,
            "num_in_filter": progress.num_items,
            "num_skipped": 0,
            "num_decided": progress.num_done,
            "upcoming": self._images(
                self.queues.upcoming(queue, person, after=item_id, limit=_NUM_AHEAD), person, queue
            ),
        }

    def queue(self, queue_id: str, person: Person) -> QueueRow:
        """A queue that is open to a person.

        Raises:
            QueueError: There is no such queue.
            DecisionError: It is for leads.
        """
        queue = self.queues.get(queue_id)
        if not may_open(queue, person):
            raise DecisionError(f'queue "{queue.title}": only a lead settles disagreements.')
        return queue

    def decide(
        self,
        reviewer: str,
        decision: Decision,
        *,
        seen: Seen | None = None,
        queue: QueueRow | None = None,
    ) -> ReviewEvent:
        """Stores a decision; when this returns, it is on disk.

        Raises:
            DecisionError: It does not fit the row.
            EditError: An edit cannot be released.
            AlreadyDecided: `seen` is not the reviewer's standing decision.
            ChangedMeanwhile: `seen` is not the edit that stands.
            StoreError: It could not be stored.
        """
        row = self._row(decision.sample_id)
        if row is None and self.seeds.sample(decision.sample_id) is not None:
            own = None if seen is None else seen.own
            said = self.seeds.record(decision, reviewer=reviewer, seen_own=own)
            return said.model_copy(update={"facets": decision.facets, "note": decision.note})
        if row is None:
            raise RowError(
                f"not in version {self.dataset.version}",
                row_id=decision.sample_id,
                remedy="Open the version that has it.",
            )
        event = review_event(
            decision,
            self.dataset.load(row),
            reviewer=reviewer,
            version=self.dataset.version,
            now=self._clock(),
            circumstances=self._circumstances(reviewer, decision, seen, queue),
            rules=self._text_rules,
        )
        stored = self.store.append(event, seen=seen)
        self.progress.refresh()
        return stored

    def is_stored(self, event_id: str) -> bool:
        """Whether a decision of this id, on a row or a planted defect, is in the store."""
        return self.store.event(event_id) is not None or self.seeds.is_stored(event_id)

    def shown_sample(self, item_id: str) -> Sample | None:
        """A row's sample, or a planted defect's; None where there is no such item."""
        row = self._row(item_id)
        return self.seeds.sample(item_id) if row is None else self.dataset.load(row).sample

    def undo(self, reviewer: str, event_id: str) -> ReviewEvent | None:
        """Takes the reviewer's last decision on this version back; None where there is none."""
        undo = ReviewEvent(
            event_id=event_id,
            ts=self._clock().isoformat(timespec="milliseconds"),
            reviewer=reviewer,
            dataset_version=self.dataset.version,
            sample_id="",
            content_hash="",
            kind="undo",
            ui_version=UI_VERSION,
        )
        stored = self._undo_seed(undo) or self.store.undo_last(undo)
        self.progress.refresh()
        return stored

    def _undo_seed(self, undo: ReviewEvent) -> ReviewEvent | None:
        """Takes a verdict on a planted defect back where that is what came last.

        Such an undo is in no log, so that one sent again is known from memory.
        """
        if undo.event_id in self._undone_seeds:
            return self._undone_seeds[undo.event_id]
        said = self.seeds.last_of(undo.reviewer)
        if said is None or self.store.event(undo.event_id) is not None:
            return None
        last = self.store.last_of(undo.reviewer, self.dataset.version)
        if last is not None and datetime.fromisoformat(last.ts) > datetime.fromisoformat(said.ts):
            return None
        if not self.seeds.take_back(said.event_id, undo.reviewer):
            return None
        taken = said.model_dump(include={"sample_id", "content_hash", "queue_id"})
        self._undone_seeds[undo.event_id] = undo.model_copy(update=taken)
        while len(self._undone_seeds) > _NUM_UNDOS_KEPT:
            self._undone_seeds.popitem(last=False)
        return self._undone_seeds[undo.event_id]

    def edit_problems(self, sample: Sample, edits: Edits) -> list[EditError]:
        """What would keep the next release from taking a row with these edits."""
        return edit_problems(sample, edits, self._text_rules)

    def scores(self, event: ReviewEvent) -> dict[str, Any] | None:
        """Machine scores of the row an event gave a verdict on; None where it gave none."""
        item = self.cards.item(event.sample_id) if event.verdict else None
        return None if item is None else scores(item.sample)

    def _circumstances(
        self, reviewer: str, decision: Decision, seen: Seen | None, queue: QueueRow | None
    ) -> Circumstances:
        seen_edit = None if seen is None else seen.edit or ""
        stored = self.store.event(decision.event_id)
        if stored is not None:  # sent again: it stands as it was made
            return Circumstances(
                queue_id="" if queue is None else queue.queue_id,
                inclusion_prob=stored.inclusion_prob,
                phase=stored.phase,
                guideline_version=stored.guideline_version,
                seen_edit=seen_edit,
            )
        guideline = self.guidelines.version_in_force
        if queue is None:
            return Circumstances(guideline_version=guideline, seen_edit=seen_edit)
        item = self.queues.item(queue.queue_id, decision.sample_id)
        if item is None:
            raise DecisionError(
                f'sample "{decision.sample_id}": not in queue "{queue.title}". Reload the page.'
            )
        own = self.store.standing(decision.sample_id, reviewer, queue_id=queue.queue_id)
        return Circumstances(
            queue_id=queue.queue_id,
            inclusion_prob=item.inclusion_prob,
            phase="open" if is_revealed(queue, own) else "blind",
            guideline_version=guideline,
            seen_edit=seen_edit,
        )

    def _shared(self, person: Person, lease: Lease | None) -> dict[str, Any]:
        return {
            "reviewer": person.name,
            "is_lead": person.is_lead,
            "counts": _plain(self.progress.counts()),
            "lease": None
            if lease is None
            else {
                "queue_id": lease.queue_id,
                "item_id": lease.item_id,
                "token": lease.token,
                "expires_in_s": LEASE_S,
            },
        }

    def _row(self, sample_id: str | None) -> int | None:
        return None if sample_id is None else self.dataset.row_of(sample_id)

    def _images(self, item_ids: Sequence[str], person: Person, queue: QueueRow | None) -> list[str]:
        return [
            address
            for item_id in item_ids
            for address in self.cards.image_addresses(item_id, person.name, queue)
        ]


def may_open(queue: QueueRow, person: Person) -> bool:
    """Whether a person may decide on a queue's items."""
    return person.is_lead or queue.origin != "adjudication"


def _options(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [{"value": value, "label": value, "count": count} for value, count in counts.items()]


def _plain(counts: Counts) -> dict[str, int]:
    return {
        "total": counts.total,
        "reviewed": counts.reviewed,
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "edited": counts.edited,
        "flagged": counts.flagged,
    }
