"""Drops kept samples for what models say of them, and keeps again those that a gate lets through.

A gate reads what the ledger holds already, so it may be set, changed and taken away without a
request: `reparse`, the next build and `score` apply it.
"""

from collections.abc import Callable

import orjson

from builder.gates_config import GatesConfig
from builder.ledger.evaluation_sets import drop_matches
from builder.ledger.ledger import Ledger
from builder.ledger.scores import drop_lowest

#: Reason of samples that the judge gave too low a score.
LOW_JUDGEMENT = "low_judgement"


def apply_gates(ledger: Ledger, gates: GatesConfig) -> dict[str, int]:
    """Number of samples that each gate drops, by reason.

    What a gate lets back in and an evaluation set holds stays out.
    """
    dropped = drop_lowest(ledger, gates.alignment_share) | _drop_low_judgements(ledger, gates)
    drop_matches(ledger)
    return dropped


def _drop_low_judgements(ledger: Ledger, gates: GatesConfig) -> dict[str, int]:
    """Drops samples of which the judge scores a criterion too low; unjudged ones are kept."""
    ledger.restore_dropped(LOW_JUDGEMENT)
    if gates.judge_min_score is None and not gates.judge_min_scores:
        return {}
    is_low = _is_low(gates)
    low = {
        job_id: LOW_JUDGEMENT
        for job_id, provenance in ledger.kept_provenance()
        if is_low(orjson.loads(provenance))
    }
    ledger.drop(low)
    return {LOW_JUDGEMENT: len(low)}


def _is_low(gates: GatesConfig) -> Callable[[dict[str, object]], bool]:
    def check(provenance: dict[str, object]) -> bool:
        judge = provenance.get("judge")
        if not isinstance(judge, dict):
            return False
        bound = gates.judge_bound(
            f"{provenance['task_type']} {provenance['modality']}", str(provenance["language"])
        )
        scores = (part["score"] for part in judge.values() if isinstance(part, dict))
        return bound is not None and min(scores, default=5) < bound

    return check
