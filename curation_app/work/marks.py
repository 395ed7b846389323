"""Where the review of each row stands, as named masks that a search can filter by."""

from typing import Literal, get_args

import numpy as np

from curation_app.work.progress import ReviewProgress

Mark = Literal["unreviewed", "accepted", "rejected", "edited", "flagged"]
MARKS: tuple[Mark, ...] = get_args(Mark)


def review_marks(progress: ReviewProgress) -> dict[str, np.ndarray]:
    """Mask over the rows by mark, as of now.

    A row is unreviewed until it has a verdict, whoever skipped or flagged it;
    edited and flagged rows have other marks as well.
    """
    progress.refresh()
    named: tuple[Mark, ...] = ("accepted", "rejected", "edited", "flagged")
    marks = {mark: progress.matching(mark, "") for mark in named}
    return {"unreviewed": ~(marks["accepted"] | marks["rejected"]), **marks}


def marks_of(marks: dict[str, np.ndarray], row: int) -> str:
    """The marks of one row, in words."""
    return ", ".join(mark for mark in MARKS if marks[mark][row])
