"""Browsing: the rows a person goes through by filters, each open at one reviewer at a time."""

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

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
    """Which rows a reviewer goes through; null is any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str | None = None
    task_type: str | None = None
    modality: str | None = None
    status: Status = "unreviewed"


class Browsing:
    """Finds rows of one version by filters, in the languages a person reads."""

    def __init__(self, dataset: VersionDataset, progress: ReviewProgress, queues: Queues) -> None:
        self._dataset = dataset
        self._progress = progress
        self._queues = queues

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
        rows = _in_turn(self._matching(person, filters), self._row(sample_id), step)
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


def _in_turn(matching: np.ndarray, row: int | None, step: Step) -> Iterator[int]:
    """Matching rows in the order to try them: on from a row, or back, each once round the end."""
    num_rows = len(matching)
    start = 0
    if row is not None:
        side = "right" if step == "next" else "left"
        start = int(np.searchsorted(matching, row, side=side))
    for offset in range(num_rows):
        place = start - 1 - offset if step == "previous" else start + offset
        yield int(matching[place % num_rows])
