"""What became of the jobs of each slot: how often a reply came, how often in a row none was fit."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field

from builder.plan.shares import Slot

#: Of a row of `outcome`: whether an endpoint answered it at all, be it with a refusal. One that was
#: given up in an outage has no reply.
_IS_ANSWERED = (
    "(sample IS NOT NULL OR (reason NOT IN ('not_a_completion', 'empty_choices') "
    "AND EXISTS (SELECT 1 FROM request JOIN reply ON reply.request_id = request.id "
    "WHERE request.key = outcome.request_hash{status})))"
)
_HAS_ANSWER = _IS_ANSWERED.format(status="")
#: And whether a model wrote a reply, which says how many of its replies are fit.
_HAS_REPLY = _IS_ANSWERED.format(status=" AND reply.status = 200")
_IS_GOOD = "(reason IS NULL OR reason = 'surplus')"


@dataclass(slots=True)
class Streak:
    """The failures of a slot since its last good sample.

    Args:
        num: Jobs that were answered and dropped, one after another.
        num_before: Answered jobs before them.
        num_good: Good samples among those.
        reasons: Why they were dropped.
    """

    num: int = 0
    num_before: int = 0
    num_good: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def replied_counts(db: sqlite3.Connection) -> dict[Slot, int]:
    """Jobs of each slot that a model replied to, surplus left out.

    What is missing divided by the share of these that was kept is what has to
    be asked for; an outage or an error says nothing of that share.
    """
    rows = db.execute(
        "SELECT task_type, modality, language, count(*) FROM outcome "
        f"WHERE reason IS NOT 'surplus' AND {_HAS_REPLY} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    return {(task, modality, language): num for task, modality, language, num in rows}


def reply_shares(db: sqlite3.Connection) -> dict[int, float]:
    """Share of the jobs of each round that a model replied to."""
    rows = db.execute(
        f"SELECT round, sum({_HAS_REPLY}) * 1.0 / count(*) FROM outcome GROUP BY round"
    )
    return dict(rows.fetchall())


def streaks(db: sqlite3.Connection) -> dict[Slot, Streak]:
    """Failures in a row of each slot whose last answered job was dropped, in job order."""
    found: defaultdict[Slot, Streak] = defaultdict(Streak)
    rows = db.execute(
        f"""
        WITH answered AS (
            SELECT task_type, modality, language, reason, {_IS_GOOD} AS is_good,
                (round << 32) + idx AS place
            FROM outcome WHERE {_HAS_ANSWER}
        ),
        slot AS (
            SELECT task_type, modality, language, count(*) AS num, sum(is_good) AS num_good,
                coalesce(max(place) FILTER (WHERE is_good), -1) AS last_good
            FROM answered GROUP BY 1, 2, 3
        )
        SELECT task_type, modality, language, slot.num, num_good, reason, count(*)
        FROM answered JOIN slot USING (task_type, modality, language)
        WHERE place > last_good GROUP BY 1, 2, 3, reason ORDER BY count(*) DESC, reason
        """
    )
    for task, modality, language, num, num_good, reason, num_of_reason in rows:
        streak = found[task, modality, language]
        streak.reasons[reason] = num_of_reason
        streak.num += num_of_reason
        streak.num_good = num_good
        streak.num_before = num - streak.num
    return dict(found)


#: Requests of a job that has no outcome, of one that has no judgement, or no choice.
_WITHOUT_OUTCOME = (
    "SELECT 1 FROM request WHERE NOT EXISTS "
    "(SELECT 1 FROM outcome WHERE outcome.job_id = request.job_id) LIMIT 1"
)
_TO_JUDGE = "SELECT 1 FROM request WHERE kind = 'judge' LIMIT 1"
_TO_CHOOSE = (
    "SELECT 1 FROM request JOIN outcome USING (job_id) WHERE kind = 'choice' AND NOT EXISTS "
    "(SELECT 1 FROM choice WHERE choice.sample_id = outcome.sample_id "
    "AND choice.model = request.model) LIMIT 1"
)


def has_leftovers(db: sqlite3.Connection, *, is_judged: bool) -> bool:
    """Whether an earlier run sent requests of jobs that lack an outcome, judgement or choice."""
    queries = [_WITHOUT_OUTCOME, _TO_CHOOSE, *([] if is_judged else [_TO_JUDGE])]
    return any(db.execute(query).fetchone() is not None for query in queries)
