"""Planted defects and what reviewers said of them, apart from the review events."""

from collections.abc import Sequence
from dataclasses import dataclass

from curation_app.store.database import Database
from curation_app.store.queues import QueueStore

_SEED = "seed_id, queue_id, sample_id, kind, body"
_VERDICT = "v.event_id, v.seed_id, v.reviewer, v.ts, v.verdict, v.reasons, v.ms_active"


@dataclass(frozen=True, slots=True)
class SeedRow:
    """A planted defect: the row it was made from, its kind, and what is shown, as JSON."""

    seed_id: str
    queue_id: str
    sample_id: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SeedVerdictRow:
    """What a reviewer said of a planted defect; `verdict` is null for a skip."""

    event_id: str
    seed_id: str
    reviewer: str
    ts: str
    verdict: str | None
    reasons: str
    ms_active: int | None


class SeedStore:
    """The tables of planted defects. None of their rows is ever a review event."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._queues = QueueStore(database)

    def add_all(self, seeds: Sequence[SeedRow]) -> None:
        self.database.execute_many(
            f"INSERT INTO seed ({_SEED}) VALUES (?,?,?,?,?)",
            ((seed.seed_id, seed.queue_id, seed.sample_id, seed.kind, seed.body) for seed in seeds),
        )

    def get(self, seed_id: str) -> SeedRow | None:
        rows = self.database.rows(f"SELECT {_SEED} FROM seed WHERE seed_id = ?", (seed_id,))
        return SeedRow(*rows[0]) if rows else None

    def kinds(self, queue_id: str) -> dict[str, str]:
        """Kind of every planted defect of a queue, by its id."""
        return dict(
            self.database.rows(
                "SELECT seed_id, kind FROM seed WHERE queue_id = ? ORDER BY seed_id", (queue_id,)
            )
        )

    def verdict(self, event_id: str) -> SeedVerdictRow | None:
        rows = self.database.rows(
            f"SELECT {_VERDICT} FROM seed_verdict AS v WHERE v.event_id = ?", (event_id,)
        )
        return SeedVerdictRow(*rows[0]) if rows else None

    def standing(self, seed_id: str, reviewer: str) -> SeedVerdictRow | None:
        """A reviewer's latest verdict on a planted defect."""
        rows = self.database.rows(
            f"SELECT {_VERDICT} FROM seed_verdict AS v WHERE v.seed_id = ? AND v.reviewer = ? "
            "ORDER BY v.rowid DESC LIMIT 1",
            (seed_id, reviewer),
        )
        return SeedVerdictRow(*rows[0]) if rows else None

    def last_of(self, reviewer: str) -> SeedVerdictRow | None:
        """A reviewer's latest verdict on any planted defect."""
        rows = self.database.rows(
            f"SELECT {_VERDICT} FROM seed_verdict AS v WHERE v.reviewer = ? "
            "ORDER BY v.rowid DESC LIMIT 1",
            (reviewer,),
        )
        return SeedVerdictRow(*rows[0]) if rows else None

    def standing_in(self, queue_id: str) -> list[SeedVerdictRow]:
        """The latest verdict of each reviewer on each planted defect of a queue."""
        return [
            SeedVerdictRow(*row)
            for row in self.database.rows(
                f"SELECT {_VERDICT} FROM seed_verdict AS v JOIN seed AS s USING (seed_id) "
                "WHERE s.queue_id = ? AND v.rowid = (SELECT max(w.rowid) FROM seed_verdict AS w "
                "WHERE w.seed_id = v.seed_id AND w.reviewer = v.reviewer) ORDER BY v.rowid",
                (queue_id,),
            )
        ]

    def add_verdict(self, verdict: SeedVerdictRow, queue_id: str) -> None:
        """Stores a verdict and counts it as the reviewer's vote in the queue."""
        with self.database.transaction():
            self.database.execute(
                "INSERT INTO seed_verdict (event_id, seed_id, reviewer, ts, verdict, reasons, "
                "ms_active) VALUES (?,?,?,?,?,?,?)",
                (
                    *(verdict.event_id, verdict.seed_id, verdict.reviewer, verdict.ts),
                    *(verdict.verdict, verdict.reasons, verdict.ms_active),
                ),
            )
            self._count_vote(verdict.seed_id, verdict.reviewer, queue_id)

    def remove_verdict(self, verdict: SeedVerdictRow, queue_id: str) -> None:
        """Takes a verdict back; an earlier one of the same reviewer stands again."""
        with self.database.transaction():
            self.database.execute(
                "DELETE FROM seed_verdict WHERE event_id = ?", (verdict.event_id,)
            )
            self._count_vote(verdict.seed_id, verdict.reviewer, queue_id)

    def _count_vote(self, seed_id: str, reviewer: str, queue_id: str) -> None:
        standing = self.standing(seed_id, reviewer)
        self._queues.set_vote(
            queue_id,
            seed_id,
            reviewer,
            None if standing is None else standing.event_id,
            counts=standing is not None and standing.verdict is not None,
        )
