"""Queues: who gets which item next, how often each is decided, and for how long it is held."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from curation_app.store.database import Database
from curation_app.store.queues import Lease, QueueItem, QueueRow, QueueStore
from curation_app.work.people import Person
from schemas.errors import PolysceneError

QueueOrigin = Literal["filter", "search", "audit", "adjudication"]
ReviewMode = Literal["card", "forced_choice", "claims"]

#: How long an item is held for a reviewer whose page does not report that it is still open.
LEASE_S = 600.0
#: The implicit queue of everything that is reached by filters alone.
BROWSING = ""
_MAX_TITLE_CHARS = 120
_MAX_OVERLAP = 50
_CANDIDATES_PER_CLAIM = 64


class QueueError(PolysceneError):
    """A queue is missing, closed, or cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """How far a queue is; `num_done` items have as many votes as the queue's overlap."""

    num_items: int
    num_votes: int
    num_done: int
    num_leased: int


class Queues:
    """The queues of one version.

    An item is leased to one reviewer at a time per vote it lacks, so that of
    twenty reviewers at once each gets an item of their own. A lease ends with
    the decision, when it is given back, or by itself.

    Args:
        database: The store's.
        dataset_version: X.Y.Z of the version under review.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        dataset_version: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = QueueStore(database)
        self._version = dataset_version
        self._clock = clock

    def create(
        self,
        *,
        title: str,
        origin: QueueOrigin,
        items: Sequence[QueueItem],
        created_by: str,
        overlap: int = 1,
        is_blind: bool = False,
        mode: ReviewMode = "card",
    ) -> QueueRow:
        """Makes a queue of items in the order given; each is decided by `overlap` reviewers.

        Raises:
            QueueError: The title is empty or too long, there are no items or
                one appears twice, or the overlap is out of bounds.
        """
        title = " ".join(title.split())
        if not title or len(title) > _MAX_TITLE_CHARS or not title.isprintable():
            raise QueueError(f"a queue's title has 1 to {_MAX_TITLE_CHARS} printable characters")
        if not items:
            raise QueueError(f'queue "{title}": it would be empty. Choose other samples.')
        if len({item.item_id for item in items}) < len(items):
            raise QueueError(f'queue "{title}": a sample appears twice. List each once.')
        if not 1 <= overlap <= _MAX_OVERLAP:
            raise QueueError(f'queue "{title}": overlap {overlap}, 1 to {_MAX_OVERLAP} is possible')
        if mode not in get_args(ReviewMode):
            raise QueueError(f'queue "{title}": no mode "{mode}"')
        queue = QueueRow(
            queue_id=secrets.token_hex(8),
            title=title,
            dataset_version=self._version,
            origin=origin,
            mode=mode,
            overlap=overlap,
            is_blind=is_blind,
            created_by=created_by,
            created_ts=self._now(),
            closed_ts=None,
        )
        self._store.add(queue, items)
        return queue

    def all(self, *, include_closed: bool = False) -> list[QueueRow]:
        """The version's queues, oldest first."""
        queues = self._store.all(self._version)
        return queues if include_closed else [queue for queue in queues if not queue.closed_ts]

    def get(self, queue_id: str) -> QueueRow:
        """A queue by its id.

        Raises:
            QueueError: There is none, or it is of another version.
        """
        queue = self._store.get(queue_id) if len(queue_id) <= 64 else None
        if queue is None or queue.dataset_version != self._version:
            raise QueueError(f"no such queue in version {self._version}. Choose another.")
        return queue

    def close(self, queue_id: str) -> None:
        """Closes a queue: nobody is given an item of it any more; votes are kept."""
        self._store.close(self.get(queue_id).queue_id, self._now())

    def progress(self, queue_id: str) -> QueueProgress:
        queue = self.get(queue_id)
        return QueueProgress(*self._store.counts(queue_id, queue.overlap, self._clock()))

    def num_votes_of(self, queue_id: str, reviewer: str) -> int:
        """Items a reviewer has decided in a queue."""
        return self._store.num_votes_of(queue_id, reviewer)

    def items(self, queue_id: str) -> list[QueueItem]:
        """Items in the queue's order."""
        return self._store.items(queue_id)

    def item(self, queue_id: str, item_id: str) -> QueueItem | None:
        return self._store.item(queue_id, item_id)

    def num_votes(self, queue_id: str, item_id: str) -> int:
        """Standing votes on one item; more than the overlap where a hold had ended."""
        return self._store.num_votes(queue_id, item_id)

    def votes(self, queue_id: str) -> list[tuple[str, str, str]]:
        """(item id, reviewer, event id) of every standing vote."""
        return self._store.votes(queue_id)

    def set_vote(self, queue_id: str, item_id: str, reviewer: str, event_id: str | None) -> None:
        """Sets or takes back a vote that is no review event, as on a seeded defect."""
        self._store.set_vote(queue_id, item_id, reviewer, event_id, counts=True)

    def claim(self, queue_id: str, person: Person, *, after: str | None = None) -> Lease | None:
        """The next item for a person, held for them; None where nothing is left.

        Without `after` the item they hold already comes again, so that a
        reload, or a second window, shows the same card.

        Args:
            after: Item to go on from.

        Raises:
            QueueError: There is no such queue, or it is closed.
        """
        queue = self.get(queue_id)
        if queue.closed_ts:
            raise QueueError(f'queue "{queue.title}" is closed. Choose another.')
        now = self._clock()
        return self._store.lease_next(
            queue,
            person.name,
            person.languages,
            token=secrets.token_hex(8),
            now=now,
            expires=now + LEASE_S,
            after=after,
        )

    def upcoming(
        self, queue: QueueRow, person: Person, *, after: str | None, limit: int = 2
    ) -> list[str]:
        """Items that may come next for a person, to fetch their images ahead; none is held."""
        return self._store.upcoming(queue, person.name, after=after, limit=limit)

    def claim_first(
        self, candidates: Sequence[str], person: Person, *, queue_id: str = BROWSING
    ) -> Lease | None:
        """The first of some items that nobody else has open, held for a person.

        Args:
            queue_id: The queue whose items they are, as after an undo; while
                browsing they are samples.

        Returns:
            None where others hold every candidate.
        """
        now = self._clock()
        for start in range(0, len(candidates), _CANDIDATES_PER_CLAIM):
            lease = self._store.lease_first(
                queue_id,
                candidates[start : start + _CANDIDATES_PER_CLAIM],
                person.name,
                token=secrets.token_hex(8),
                now=now,
                expires=now + LEASE_S,
            )
            if lease is not None:
                return lease
        return None

    def renew(self, queue_id: str, item_id: str, reviewer: str, token: str) -> bool:
        """Holds an item for longer; False where the lease has gone to somebody else."""
        now = self._clock()
        lease = Lease(queue_id, item_id, reviewer, token, now)
        return self._store.renew(lease, now + LEASE_S)

    def release(self, queue_id: str, item_id: str, reviewer: str) -> None:
        """Gives an item back before its lease ends."""
        self._store.release(queue_id, item_id, reviewer)

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self._clock(), UTC)
        return moment.isoformat(timespec="milliseconds")
