"""Where a version's review stands: the fold of the store's events, row by row, kept up to date."""

from dataclasses import dataclass
from threading import Lock
from typing import Literal

import numpy as np

from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from schemas.review import ReviewEvent, ReviewState, fold_events, in_order

Status = Literal["unreviewed", "skipped", "accepted", "rejected", "edited", "flagged", "all"]

_UNREVIEWED, _ACCEPTED, _REJECTED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a version, or of a part of it, by what the reviewers hold of them.

    `edited` rows are among the accepted or rejected ones; `flagged` ones wait
    for a second look, whatever else is held of them.
    """

    total: int
    accepted: int
    rejected: int
    edited: int
    flagged: int

    @property
    def reviewed(self) -> int:
        return self.accepted + self.rejected


class ReviewProgress:
    """State of every row of a version; `refresh` folds in what the store has since got.

    Only events on the row's present content count, from whichever version.
    """

    def __init__(self, dataset: VersionDataset, store: ReviewStore) -> None:
        self._dataset = dataset
        self._store = store
        self._lock = Lock()
        self._last_seq = 0
        self._verdicts = np.zeros(len(dataset), dtype=np.int8)
        self._edited = np.zeros(len(dataset), dtype=bool)
        self._flagged = np.zeros(len(dataset), dtype=bool)
        self._skipped: dict[str, set[int]] = {}
        self._states: dict[int, ReviewState] = {}
        self.refresh()

    def refresh(self) -> None:
        """Folds the samples that have new events anew."""
        with self._lock:
            last_seq = self._store.last_seq
            if last_seq == self._last_seq:
                return
            rows: dict[int, str] = {}
            for sample_id in self._store.samples_since(self._last_seq):
                row = self._dataset.row_of(sample_id)
                if row is not None:
                    rows[row] = sample_id
            hashes = self._dataset.content_hashes(list(rows))
            for row, sample_id in rows.items():
                events = self._store.events_of(sample_id)
                self._fold(row, [event for event in events if event.content_hash == hashes[row]])
            self._last_seq = last_seq

    def state(self, row: int) -> ReviewState | None:
        """What the reviewers hold of a row; None where nobody has decided."""
        return self._states.get(row)

    def states(self) -> list[tuple[int, ReviewState]]:
        """Row and state of every row that has events, in order of row."""
        with self._lock:
            return sorted(self._states.items())

    def matching(self, status: Status, reviewer: str) -> np.ndarray:
        """Mask of the rows with a status; skips are the reviewer's own.

        A flagged row waits under its own status, not among those to review.
        """
        if status == "all":
            return np.ones(len(self._dataset), dtype=bool)
        if status == "edited":
            return self._edited.copy()
        if status == "flagged":
            return self._flagged.copy()
        if status in ("accepted", "rejected"):
            return self._verdicts == (_ACCEPTED if status == "accepted" else _REJECTED)
        skipped = np.zeros(len(self._dataset), dtype=bool)
        skipped[list(self._skipped.get(reviewer, ()))] = True
        waiting = (self._verdicts == _UNREVIEWED) & ~self._flagged
        return waiting & (skipped if status == "skipped" else ~skipped)

    def counts(self, mask: np.ndarray | None = None) -> Counts:
        chosen = slice(None) if mask is None else mask
        verdicts = self._verdicts[chosen]
        return Counts(
            total=len(verdicts),
            accepted=int(np.count_nonzero(verdicts == _ACCEPTED)),
            rejected=int(np.count_nonzero(verdicts == _REJECTED)),
            edited=int(np.count_nonzero(self._edited[chosen])),
            flagged=int(np.count_nonzero(self._flagged[chosen])),
        )

    def _fold(self, row: int, events: list[ReviewEvent]) -> None:
        for skipped in self._skipped.values():
            skipped.discard(row)
        for reviewer in _skippers(events):
            self._skipped.setdefault(reviewer, set()).add(row)
        state = next(iter(fold_events(events).values()), None)
        if state is None:
            self._states.pop(row, None)
            self._verdicts[row], self._edited[row] = _UNREVIEWED, False
            self._flagged[row] = False
            return
        self._states[row] = state
        self._flagged[row] = state.is_flagged
        self._verdicts[row] = (
            _REJECTED if state.is_rejected else _ACCEPTED if state.is_accepted else _UNREVIEWED
        )
        self._edited[row] = (
            state.edits is not None and state.edits.model_dump(exclude_none=True) != {}
        )


def _skippers(events: list[ReviewEvent]) -> set[str]:
    """Reviewers whose last standing decision is a skip."""
    undone = {event.undoes for event in events if event.kind == "undo"}
    last: dict[str, str] = {}
    for event in in_order(events):
        if event.kind in {"verdict", "edit", "skip", "adjudicate"} and event.event_id not in undone:
            last[event.reviewer] = event.kind
    return {reviewer for reviewer, kind in last.items() if kind == "skip"}
