"""Forced choice: which of two unlabelled candidates matches, and what the answer says of the row.

A reviewer who is told which candidate is the positive looks for reasons to agree. Asked to choose,
they find hard negatives that match as well, and positives that do not.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import orjson

from schemas.review import Facet, Verdict

Choice = Literal["left", "right", "both", "neither"]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How one reviewer is shown one row: which hard negative, and on which side the positive."""

    is_positive_left: bool
    negative_index: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer says of a row, as a verdict with its reasons, facets and note."""

    verdict: Verdict
    reasons: tuple[str, ...]
    facets: dict[Facet, Verdict]
    note: str


def arrange(queue_id: str, item_id: str, reviewer: str, num_negatives: int) -> Arrangement:
    """An order that looks random, differs between reviewers, and is the same after a reload."""
    told = "\0".join((queue_id, item_id, reviewer)).encode("utf-8", "replace")
    digest = hashlib.sha256(told).digest()
    return Arrangement(
        is_positive_left=digest[0] < 128,
        negative_index=int.from_bytes(digest[1:5]) % num_negatives,
    )


def outcome_of(choice: Choice, arrangement: Arrangement) -> Outcome:
    """The verdict an answer amounts to.

    Only a clear choice of the positive accepts the row. Where the hard
    negative matches too, it is no negative; where neither does, the positive
    is wrong.
    """
    positive: Choice = "left" if arrangement.is_positive_left else "right"
    note = orjson.dumps(
        {"choice": choice, "positive": positive, "negative": arrangement.negative_index}
    ).decode()
    if choice == positive:
        return Outcome("accept", (), {"alignment": "accept", "negative": "accept"}, note)
    if choice == "neither":
        return Outcome("reject", ("positive_wrong",), {"alignment": "reject"}, note)
    alignment: Verdict = "accept" if choice == "both" else "reject"
    facets: dict[Facet, Verdict] = {"alignment": alignment, "negative": "reject"}
    return Outcome("reject", ("negative_correct",), facets, note)
