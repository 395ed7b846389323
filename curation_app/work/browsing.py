"""Browsing: the rows a person goes through by filters, each open at one reviewer at a time."""

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from curation_app.data.suspects import Suspects
from curation_app.data.version import VersionDataset
from curation_app.store.queues import Lease
from curation_app.work.people import Person
from curation_app.work.progress import ReviewProgress, Status
from curation_app.work.queues import Queues

Step = Literal["here", "next", "previous"]

#: Statuses whose rows wait for a decision.
_WAITING = frozenset({"unreviewed", "skipped", "flagged"})
_CANDIDATES_PER_CLAIM = 64


class Filters(BaseModel):
    """Which rows a reviewer goes through; null is any.

    Args:
        order: Of rows that wait for a decision: "by_id" as the version has them; null shows
            those that a model suspects first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str | None = None
    task_type: str | None = None
    modality: str | None = None
    status: Status = "unreviewed"
    order: Literal["by_id"] | None = None


class Browsing:
    """Finds rows of one version by filters, in the languages a person reads."""

    def __init__(self, dataset: VersionDataset, progress: ReviewProgress, queues: Queues) -> None:
        self._dataset = dataset
        self._progress = progress
        self._queues = queues
        self.suspects = Suspects(dataset)

    def find(
        self,
        person: Person,
        filters: Filters,
        *,
        sample_id: str | None = None,
        step: Step = "next",
    ) -> tuple[int | None, Lease | None]:
        """The row to show, from a sample a step on among the matching rows, round the end.

        Where rows wait for a decision, those that others have open are passed
        by, and the one returned is held for this person.

        Returns:
            Row number and hold; no row where none matches, or others hold all.
        """
        self._progress.refresh()
        place_N = self.places(filters)
        row = self._row(sample_id)
        matching = self._matching(person, filters)
        matching = matching[np.argsort(place_N[matching])]
        place = None if row is None else int(place_N[row])
        rows = (int(matching[turn]) for turn in _in_turn(place_N[matching], place, step))
        if filters.status not in _WAITING:
            return next(rows, None), None
        while candidates := list(islice(rows, _CANDIDATES_PER_CLAIM)):
            row, lease = self._claim(person, filters, candidates)
            if lease is not None:
                return row, lease
        return None, None

    def _claim(
        self, person: Person, filters: Filters, candidates: list[int]
    ) -> tuple[int | None, Lease | None]:
        """The first candidate that is free and, now that nobody else can decide it, still waits."""
        while candidates:
            sample_ids = [self._dataset.sample_id(row) for row in candidates]
            lease = self._queues.claim_first(sample_ids, person)
            if lease is None:
                break
            place = sample_ids.index(lease.item_id)
            row = candidates[place]
            self._progress.refresh()
            if self._progress.matching(filters.status, person.name)[row]:
                return row, lease
            self._queues.release(lease.queue_id, lease.item_id, person.name)
            candidates = candidates[place + 1 :]  # decided between the look and the claim
        return None, None

    def places(self, filters: Filters) -> np.ndarray:
        """Each row's place in the order in which rows are gone through."""
        has_suspects_first = filters.order is None and filters.status in _WAITING
        return self.suspects.place_N if has_suspects_first else np.arange(len(self._dataset))

    def following(self, rows: np.ndarray, row: int, filters: Filters, limit: int) -> list[int]:
        """The rows of some, given as row numbers, that come next after a row."""
        place_N = self.places(filters)
        later = rows[place_N[rows] > place_N[row]]
        return later[np.argsort(place_N[later])][:limit].tolist()

    def rows(self, person: Person, filters: Filters) -> np.ndarray:
        """Mask of the rows that fit the filters, whatever their status, and that a person reads."""
        rows = self._dataset.matching(
            language=filters.language, task_type=filters.task_type, modality=filters.modality
        )
        if person.languages is not None and filters.language not in person.languages:
            readable = [self._dataset.matching(language=code) for code in person.languages]
            rows &= np.logical_or.reduce(readable)
        return rows

    def _matching(self, person: Person, filters: Filters) -> np.ndarray:
        mask = self.rows(person, filters) & self._progress.matching(filters.status, person.name)
        return np.flatnonzero(mask)

    def _row(self, sample_id: str | None) -> int | None:
        return None if sample_id is None else self._dataset.row_of(sample_id)


def _in_turn(places: np.ndarray, place: int | None, step: Step) -> Iterator[int]:
    """Indices of ascending places in the order to try them, each once round the end.

    They go on from a place, or back from it.
    """
    start = 0
    if place is not None:
        side = "right" if step == "next" else "left"
        start = int(np.searchsorted(places, place, side=side))
    for offset in range(len(places)):
        turn = start - 1 - offset if step == "previous" else start + offset
        yield turn % len(places)
