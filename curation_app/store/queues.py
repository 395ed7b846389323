"""Queues, their items, leases and votes: rows of the store, without rules of who may do what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from curation_app.store.database import Database
from schemas.review import ReviewEvent

_COLUMNS = (
    "queue_id, title, dataset_version, origin, mode, overlap, is_blind, created_by, "
    "created_ts, closed_ts"
)

_OPEN_ITEM = """
SELECT item_id, position FROM queue_item AS i
WHERE queue_id = :queue_id AND num_votes = :num_votes AND position > :after
  AND (:languages IS NULL OR language IN (SELECT value FROM json_each(:languages)))
  AND NOT EXISTS (
    SELECT 1 FROM queue_vote AS v
    WHERE v.queue_id = i.queue_id AND v.item_id = i.item_id AND v.reviewer = :reviewer)
  AND num_votes < :overlap - (
    SELECT count(*) FROM lease AS l
    WHERE l.queue_id = i.queue_id AND l.item_id = i.item_id
      AND l.reviewer <> :reviewer AND l.expires > :now)
ORDER BY position LIMIT 1
"""

#: The reviewer's latest decision on an item in a queue that was not taken back.
_STANDING_VOTE = """
SELECT event_id, kind FROM event AS e
WHERE sample_id = ? AND reviewer = ? AND kind IN ('verdict', 'edit', 'skip', 'adjudicate')
  AND json_extract(CAST(body AS TEXT), '$.queue_id') = ?
  AND NOT EXISTS (SELECT 1 FROM event AS u WHERE u.undoes = e.event_id)
ORDER BY seq DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue as stored."""

    queue_id: str
    title: str
    dataset_version: str
    origin: str
    mode: str
    overlap: int
    is_blind: bool
    created_by: str
    created_ts: str
    closed_ts: str | None


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An item to be put into a queue; `inclusion_prob` where a design drew it."""

    item_id: str
    language: str
    stratum: str = ""
    inclusion_prob: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """An item that is held for one reviewer until `expires` (seconds since 1970)."""

    queue_id: str
    item_id: str
    reviewer: str
    token: str
    expires: float


class QueueStore:
    """The tables of queues; each method is one transaction, or part of the caller's."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, queue: QueueRow, items: Sequence[QueueItem]) -> None:
        """Stores a queue with its items in the order given, all or nothing."""
        with self._db.transaction():
            self._db.execute(
                f"INSERT INTO queue ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    *(queue.queue_id, queue.title, queue.dataset_version, queue.origin),
                    *(queue.mode, queue.overlap, int(queue.is_blind), queue.created_by),
                    *(queue.created_ts, queue.closed_ts),
                ),
            )
            self._db.execute_many(
                "INSERT INTO queue_item (queue_id, item_id, position, language, stratum, "
                "inclusion_prob) VALUES (?,?,?,?,?,?)",
                (
                    (
                        *(queue.queue_id, item.item_id, position, item.language),
                        *(item.stratum, item.inclusion_prob),
                    )
                    for position, item in enumerate(items)
                ),
            )

    def all(self, dataset_version: str) -> list[QueueRow]:
        """A version's queues, oldest first."""
        return [
            _queue(row)
            for row in self._db.rows(
                f"SELECT {_COLUMNS} FROM queue WHERE dataset_version = ? "
                "ORDER BY created_ts, queue_id",
                (dataset_version,),
            )
        ]

    def get(self, queue_id: str) -> QueueRow | None:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM queue WHERE queue_id = ?", (queue_id,))
        return _queue(rows[0]) if rows else None

    def close(self, queue_id: str, ts: str) -> None:
        """Closes a queue: nothing is leased from it any more."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE queue SET closed_ts = ? WHERE queue_id = ? AND closed_ts IS NULL",
                (ts, queue_id),
            )
            self._db.execute("DELETE FROM lease WHERE queue_id = ?", (queue_id,))

    def items(self, queue_id: str) -> list[QueueItem]:
        """Items in order of position."""
        return [
            QueueItem(*row)
            for row in self._db.rows(
                "SELECT item_id, language, stratum, inclusion_prob FROM queue_item "
                "WHERE queue_id = ? ORDER BY position",
                (queue_id,),
            )
        ]

    def item(self, queue_id: str, item_id: str) -> QueueItem | None:
        rows = self._db.rows(
            "SELECT item_id, language, stratum, inclusion_prob FROM queue_item "
            "WHERE queue_id = ? AND item_id = ?",
            (queue_id, item_id),
        )
        return QueueItem(*rows[0]) if rows else None

    def counts(self, queue_id: str, overlap: int, now: float) -> tuple[int, int, int, int]:
        """Items, votes, items with `overlap` votes, live leases."""
        items, votes, done = self._db.rows(
            "SELECT count(*), coalesce(sum(num_votes), 0), coalesce(sum(num_votes >= ?), 0) "
            "FROM queue_item WHERE queue_id = ?",
            (overlap, queue_id),
        )[0]
        leased = self._db.rows(
            "SELECT count(*) FROM lease WHERE queue_id = ? AND expires > ?", (queue_id, now)
        )[0][0]
        return items, votes, done, leased

    def num_votes(self, queue_id: str, item_id: str) -> int:
        rows = self._db.rows(
            "SELECT num_votes FROM queue_item WHERE queue_id = ? AND item_id = ?",
            (queue_id, item_id),
        )
        return rows[0][0] if rows else 0

    def num_votes_of(self, queue_id: str, reviewer: str) -> int:
        """Items a reviewer has decided in a queue."""
        return self._db.rows(
            "SELECT count(*) FROM queue_vote WHERE queue_id = ? AND reviewer = ? AND counts",
            (queue_id, reviewer),
        )[0][0]

    def votes(self, queue_id: str) -> list[tuple[str, str, str]]:
        """(item id, reviewer, event id) of every standing vote."""
        return self._db.rows(
            "SELECT item_id, reviewer, event_id FROM queue_vote WHERE queue_id = ? AND counts "
            "ORDER BY item_id, reviewer",
            (queue_id,),
        )

    def lease_next(
        self,
        queue: QueueRow,
        reviewer: str,
        languages: Iterable[str] | None,
        *,
        token: str,
        now: float,
        expires: float,
        after: str | None,
    ) -> Lease | None:
        """Leases the item the reviewer holds already, else the next one that lacks votes.

        Items that others have begun come first, then those nobody has seen, in
        order of position after `after`, round the end.
        """
        with self._db.transaction():
            self._db.execute("DELETE FROM lease WHERE expires <= ?", (now,))
            if after is None:
                held = self.lease_of(queue.queue_id, reviewer)
                if held is not None:
                    return self._put(queue.queue_id, held.item_id, reviewer, held.token, expires)
            item_id = self._next_open(queue, reviewer, languages, now, self._position(queue, after))
            if item_id is None:
                return None
            self._drop_others(queue.queue_id, reviewer)
            return self._put(queue.queue_id, item_id, reviewer, token, expires)

    def lease_first(
        self,
        queue_id: str,
        item_ids: Sequence[str],
        reviewer: str,
        *,
        token: str,
        now: float,
        expires: float,
    ) -> Lease | None:
        """Leases the first of some items that nobody else holds; None where others hold all."""
        with self._db.transaction():
            taken = {
                item_id
                for (item_id,) in self._db.rows(
                    "SELECT item_id FROM lease WHERE queue_id = ? AND reviewer <> ? "
                    "AND expires > ? AND item_id IN (SELECT value FROM json_each(?))",
                    (queue_id, reviewer, now, orjson.dumps(list(item_ids)).decode()),
                )
            }
            free = next((item_id for item_id in item_ids if item_id not in taken), None)
            if free is None:
                return None
            self._drop_others(queue_id, reviewer)
            return self._put(queue_id, free, reviewer, token, expires)

    def upcoming(
        self, queue: QueueRow, reviewer: str, *, after: str | None, limit: int
    ) -> list[str]:
        """Items that may come next for a reviewer, in order of position; none is held by this."""
        rows = self._db.rows(
            "SELECT item_id FROM queue_item AS i WHERE queue_id = ? AND num_votes < ? "
            "AND position > ? AND NOT EXISTS (SELECT 1 FROM queue_vote AS v "
            "WHERE v.queue_id = i.queue_id AND v.item_id = i.item_id AND v.reviewer = ?) "
            "ORDER BY position LIMIT ?",
            (queue.queue_id, queue.overlap, self._position(queue, after), reviewer, limit),
        )
        return [item_id for (item_id,) in rows]

    def lease_of(self, queue_id: str, reviewer: str) -> Lease | None:
        """The lease a reviewer holds in a queue, live or not."""
        rows = self._db.rows(
            "SELECT queue_id, item_id, reviewer, token, expires FROM lease "
            "WHERE queue_id = ? AND reviewer = ? ORDER BY expires DESC LIMIT 1",
            (queue_id, reviewer),
        )
        return Lease(*rows[0]) if rows else None

    def renew(self, lease: Lease, expires: float) -> bool:
        """Moves a lease's end; False where it is gone."""
        return bool(
            self._db.execute(
                "UPDATE lease SET expires = ? WHERE queue_id = ? AND item_id = ? "
                "AND reviewer = ? AND token = ?",
                (expires, lease.queue_id, lease.item_id, lease.reviewer, lease.token),
            )
        )

    def release(self, queue_id: str, item_id: str, reviewer: str) -> None:
        self._db.execute(
            "DELETE FROM lease WHERE queue_id = ? AND item_id = ? AND reviewer = ?",
            (queue_id, item_id, reviewer),
        )

    def count_event(self, event: ReviewEvent) -> None:
        """Brings the reviewer's vote in a queue up to date after an event on one of its items.

        A flag decides nothing: the item stays with its reviewer.
        """
        if event.kind == "flag":
            return
        self.release("", event.sample_id, event.reviewer)
        if not event.queue_id:
            return
        rows = self._db.rows(_STANDING_VOTE, (event.sample_id, event.reviewer, event.queue_id))
        standing: tuple[str, str] | None = rows[0] if rows else None
        self.set_vote(
            event.queue_id,
            event.sample_id,
            event.reviewer,
            None if standing is None else standing[0],
            counts=standing is not None and standing[1] != "skip",
        )

    def set_vote(
        self, queue_id: str, item_id: str, reviewer: str, event_id: str | None, *, counts: bool
    ) -> None:
        """Sets a reviewer's vote on an item and ends the lease; None takes it back.

        Args:
            counts: False for a skip, which keeps the item from its reviewer and no more.
        """
        key = (queue_id, item_id, reviewer)
        where = "WHERE queue_id = ? AND item_id = ? AND reviewer = ?"
        with self._db.transaction():
            self._db.execute(f"DELETE FROM queue_vote {where}", key)
            if event_id is not None:
                self._db.execute(
                    "INSERT INTO queue_vote (queue_id, item_id, reviewer, event_id, counts) "
                    "VALUES (?,?,?,?,?)",
                    (*key, event_id, int(counts)),
                )
            self._db.execute(
                "UPDATE queue_item SET num_votes = (SELECT count(*) FROM queue_vote AS v "
                "WHERE v.queue_id = queue_item.queue_id AND v.item_id = queue_item.item_id "
                "AND v.counts) WHERE queue_id = ? AND item_id = ?",
                (queue_id, item_id),
            )
            self.release(queue_id, item_id, reviewer)

    def _next_open(
        self,
        queue: QueueRow,
        reviewer: str,
        languages: Iterable[str] | None,
        now: float,
        after: int,
    ) -> str | None:
        wanted = None if languages is None else orjson.dumps(sorted(languages)).decode()
        for start in (after, -1) if after >= 0 else (-1,):
            for num_votes in range(queue.overlap - 1, -1, -1):
                values = {
                    "queue_id": queue.queue_id,
                    "num_votes": num_votes,
                    "after": start,
                    "languages": wanted,
                    "reviewer": reviewer,
                    "overlap": queue.overlap,
                    "now": now,
                }
                found = self._db.rows(_OPEN_ITEM, values)
                if found:
                    return found[0][0]
        return None

    def _position(self, queue: QueueRow, item_id: str | None) -> int:
        rows = self._db.rows(
            "SELECT position FROM queue_item WHERE queue_id = ? AND item_id = ?",
            (queue.queue_id, item_id),
        )
        return rows[0][0] if rows else -1

    def _drop_others(self, queue_id: str, reviewer: str) -> None:
        self._db.execute(
            "DELETE FROM lease WHERE queue_id = ? AND reviewer = ?", (queue_id, reviewer)
        )

    def _put(self, queue_id: str, item_id: str, reviewer: str, token: str, expires: float) -> Lease:
        self._db.execute(
            "INSERT INTO lease (queue_id, item_id, reviewer, token, expires) VALUES (?,?,?,?,?) "
            "ON CONFLICT DO UPDATE SET token = excluded.token, expires = excluded.expires",
            (queue_id, item_id, reviewer, token, expires),
        )
        return Lease(queue_id, item_id, reviewer, token, expires)


def _queue(row: tuple) -> QueueRow:
    values = list(row)
    values[6] = bool(values[6])
    return QueueRow(*values)
