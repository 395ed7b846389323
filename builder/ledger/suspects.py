"""Which scored samples a person should look at first, and in what order."""

# pyright: standard, reportMissingTypeStubs=false

from collections.abc import Sequence

import pyarrow as pa

from builder.ledger.scores import Score
from schemas.row_scores import ROW_SCORES_SCHEMA, SuspectedPart

#: Of all scored samples, for each of the two scores. On the demo five in six wrong concepts are
#: among so many with the lowest score (`python -m benchmarks.scoring`).
SUSPECT_SHARE = 0.05


def suspects(scores: Sequence[Score]) -> dict[str, SuspectedPart]:
    """What is suspected of samples, by id, the first to look at first.

    The lowest scores are of positives, the best matching hard negatives of negatives; the two
    take turns.
    """
    num = round(SUSPECT_SHARE * len(scores))
    low = sorted(scores, key=lambda one: (one.score, one.sample_id))[:num]
    fitting = sorted(
        (one for one in scores if one.negative_match is not None),
        key=lambda one: (-(one.negative_match or 0.0), one.sample_id),
    )[:num]
    found: dict[str, SuspectedPart] = {}
    for place in range(num):
        if place < len(low):
            found.setdefault(low[place].sample_id, "positive")
        if place < len(fitting):
            found.setdefault(fitting[place].sample_id, "negative")
    return found


def row_scores(scores: Sequence[Score]) -> pa.Table:
    """Scores as a version publishes them, with what is suspected."""
    parts = suspects(scores)
    ranks = {sample_id: rank for rank, sample_id in enumerate(parts)}
    columns: dict[str, list[object]] = {
        "id": [one.sample_id for one in scores],
        "alignment": [_rounded(one.score) for one in scores],
        "margin": [_rounded(one.margin) for one in scores],
        "negative_match": [_rounded(one.negative_match) for one in scores],
        "picture_rank": [one.picture_rank for one in scores],
        "num_ranked": [one.num_ranked for one in scores],
        "suspected": [parts.get(one.sample_id) for one in scores],
        "review_rank": [ranks.get(one.sample_id) for one in scores],
    }
    return pa.table(columns, schema=ROW_SCORES_SCHEMA)


def _rounded(value: float | None) -> float | None:
    """As many digits as the row's `alignment` has."""
    return None if value is None else round(value, 4)
