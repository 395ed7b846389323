"""Planted defects: sound rows made wrong on purpose, mixed among an audit's items.

What reviewers say of them tells how many real defects they miss. It is kept
apart from the review events: never exported, never released.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import orjson
from pydantic import BaseModel, ConfigDict

from curation_app.data.version import VersionDataset
from curation_app.store import AlreadyDecided, EventConflict, ReviewStore
from curation_app.store.seeds import SeedRow, SeedStore, SeedVerdictRow
from curation_app.work.decisions import Decision, DecisionError
from curation_app.work.planting import ImageHomes, Planted
from schemas.review import ReviewEvent
from schemas.sample import Sample


class _Body(BaseModel):
    """A planted defect as it is shown, and where its images are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample: Sample
    homes: dict[str, tuple[str, str]]


class Seeds:
    """The planted defects of a version's audits.

        seeds.add(queue_id, Planter(dataset, generator).plant(20, rows))
        seeds.record(decision, reviewer="noor")

    Args:
        clock: The time, with time zone.
    """

    def __init__(
        self,
        dataset: VersionDataset,
        store: ReviewStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._dataset = dataset
        self._store = SeedStore(store.database)
        self._clock = clock

    def add(self, queue_id: str, planted: Sequence[Planted]) -> None:
        """Keeps the defects of a queue."""
        self._store.add_all(
            [
                SeedRow(
                    seed_id=one.sample.id,
                    queue_id=queue_id,
                    sample_id=one.origin,
                    kind=one.kind,
                    body=_Body(sample=one.sample, homes=one.homes).model_dump_json().encode(),
                )
                for one in planted
            ]
        )

    def sample(self, item_id: str) -> Sample | None:
        """The planted defect as it is shown; None where the item is none."""
        seed = self._store.get(item_id)
        return None if seed is None else _body(seed).sample

    def image_home(self, item_id: str) -> ImageHomes | None:
        """In which row, at which place, each image of a planted defect is found."""
        seed = self._store.get(item_id)
        return None if seed is None else dict(_body(seed).homes)

    def origin(self, item_id: str) -> str | None:
        """Id of the row a planted defect was made from."""
        seed = self._store.get(item_id)
        return None if seed is None else seed.sample_id

    def standing(self, item_id: str, reviewer: str) -> ReviewEvent | None:
        """The reviewer's latest verdict on a planted defect, in the form of an event."""
        verdict = self._store.standing(item_id, reviewer)
        return None if verdict is None else self._as_event(verdict)

    def last_of(self, reviewer: str) -> ReviewEvent | None:
        """The reviewer's latest verdict on any planted defect, in the form of an event."""
        verdict = self._store.last_of(reviewer)
        return None if verdict is None else self._as_event(verdict)

    def record(
        self, decision: Decision, *, reviewer: str, seen_own: str | None = None
    ) -> ReviewEvent:
        """Stores what a reviewer says of a planted defect and counts it as a vote of its queue.

        A flag is answered like any other and not stored: it decides nothing.

        Args:
            seen_own: Event id of the reviewer's verdict as the page showed it,
                "" for none; None asks for no such check.

        Returns:
            The verdict in the form of an event; it is in no log of events.

        Raises:
            DecisionError: The item is no planted defect, or the decision does
                not fit it.
            AlreadyDecided: The reviewer's verdict that stands is not the one seen.
            EventConflict: The id is taken by another verdict.
        """
        seed = self._store.get(decision.sample_id)
        if seed is None or decision.kind == "adjudicate":
            raise DecisionError(
                f'sample "{decision.sample_id}": not an item to decide here. Reload the page.'
            )
        if decision.content_hash != _body(seed).sample.content_hash:
            raise DecisionError(
                f'sample "{decision.sample_id}": it changed since it was looked at. '
                "Look at it again."
            )
        verdict = SeedVerdictRow(
            event_id=decision.event_id,
            seed_id=seed.seed_id,
            reviewer=reviewer,
            ts=self._clock().isoformat(timespec="milliseconds"),
            verdict="edit" if decision.kind == "edit" else decision.verdict,
            reasons=orjson.dumps(list(decision.reasons)).decode(),
            ms_active=decision.ms_active,
        )
        if decision.kind == "flag":
            return self._as_event(verdict).model_copy(update={"kind": "flag"})
        with self._store.database.transaction():
            stored = self._store.verdict(decision.event_id)
            if stored is not None:
                return self._as_event(_same(stored, verdict))
            standing = self._store.standing(seed.seed_id, reviewer)
            if seen_own is not None and (standing.event_id if standing else "") != seen_own:
                raise AlreadyDecided(
                    decision.sample_id, None if standing is None else self._as_event(standing)
                )
            self._store.add_verdict(verdict, seed.queue_id)
        return self._as_event(verdict)

    def is_stored(self, event_id: str) -> bool:
        """Whether a verdict of this id is stored."""
        return self._store.verdict(event_id) is not None

    def take_back(self, event_id: str, reviewer: str) -> bool:
        """Takes a reviewer's verdict back, vote and all; False where there is none."""
        with self._store.database.transaction():
            verdict = self._store.verdict(event_id)
            seed = None if verdict is None else self._store.get(verdict.seed_id)
            if verdict is None or seed is None or verdict.reviewer != reviewer:
                return False
            self._store.remove_verdict(verdict, seed.queue_id)
        return True

    def kinds(self, queue_id: str) -> dict[str, str]:
        """Kind of every planted defect of a queue, by item id."""
        return self._store.kinds(queue_id)

    def verdicts(self, queue_id: str) -> list[tuple[str, str, bool]]:
        """(item id, reviewer, whether it was found) of every standing verdict of a queue."""
        return [
            (verdict.seed_id, verdict.reviewer, verdict.verdict != "accept")
            for verdict in self._store.standing_in(queue_id)
            if verdict.verdict is not None
        ]

    def _as_event(self, verdict: SeedVerdictRow) -> ReviewEvent:
        seed = self._store.get(verdict.seed_id)
        assert seed is not None
        kind = {None: "skip", "edit": "edit"}.get(verdict.verdict, "verdict")
        return ReviewEvent.model_validate(
            {
                "event_id": verdict.event_id,
                "ts": verdict.ts,
                "reviewer": verdict.reviewer,
                "dataset_version": self._dataset.version,
                "sample_id": verdict.seed_id,
                "content_hash": _body(seed).sample.content_hash,
                "kind": kind,
                "verdict": "accept" if kind == "edit" else verdict.verdict,
                "reasons": orjson.loads(verdict.reasons),
                "queue_id": seed.queue_id,
                "ms_active": verdict.ms_active,
            }
        )


def _same(stored: SeedVerdictRow, verdict: SeedVerdictRow) -> SeedVerdictRow:
    """The stored verdict, if the other is a retry of it."""
    for field in ("seed_id", "reviewer", "verdict", "reasons"):
        if getattr(stored, field) != getattr(verdict, field):
            raise EventConflict(
                f'event "{verdict.event_id}": stored before with other content. '
                "Give a new decision a new event id."
            )
    return stored


def _body(seed: SeedRow) -> _Body:
    return _Body.model_validate_json(seed.body)
