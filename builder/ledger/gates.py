"""Drops kept samples for what models say of them, and keeps again those that a gate lets through.

A gate reads what the ledger holds already, so it may be set, changed and taken away without a
request: `reparse`, the next build and `score` apply it.
"""

from collections.abc import Callable

import orjson

from builder.gates_config import GatesConfig
from builder.ledger.choices import (
    ACCEPTS_NEGATIVE,
    PREFERS_NEGATIVE,
    ChoiceReport,
    MadeChoice,
    choice_report,
    read_choices,
)
from builder.ledger.evaluation_sets import drop_matches
from builder.ledger.ledger import Ledger
from builder.ledger.scores import drop_close_negatives, drop_lowest

#: Reason of samples that the judge gave too low a score.
LOW_JUDGEMENT = "low_judgement"
#: A judge that gave one score only is named from so many judged samples on.
_MIN_JUDGED = 20


def apply_gates(ledger: Ledger, gates: GatesConfig) -> dict[str, int]:
    """Number of samples that each gate drops, by reason.

    What a gate lets back in and an evaluation set holds stays out.
    """
    dropped = drop_lowest(ledger, gates.alignment_share, gates.alignment_by)
    dropped |= drop_close_negatives(ledger, gates.negative_max_ratio, gates.negative_max_over_mean)
    dropped |= _drop_low_judgements(ledger, gates) | _drop_by_choice(ledger, gates)
    drop_matches(ledger)
    return dropped


def _drop_low_judgements(ledger: Ledger, gates: GatesConfig) -> dict[str, int]:
    """Drops samples of which the judge scores a criterion too low; unjudged ones are kept."""
    ledger.restore_dropped(LOW_JUDGEMENT)
    if gates.judge_min_score is None and not gates.judge_min_scores:
        return {}
    if constant_scores(ledger):  # says nothing of any sample
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


def _drop_by_choice(ledger: Ledger, gates: GatesConfig) -> dict[str, int]:
    """Drops samples whose negative the judge chose or called right, as far as it can choose."""
    with ledger.transaction():
        for reason in (PREFERS_NEGATIVE, ACCEPTS_NEGATIVE):
            ledger.restore_dropped(reason)
    choices = read_choices(ledger) if gates.judge_choice else []
    report = choice_report(choices)
    if not choices or not report.is_informative:
        return {}
    reasons: dict[str, str] = {}
    for choice in choices:
        if choice.prefers_negative:
            reasons[choice.sample_id] = PREFERS_NEGATIVE
        elif choice.accepts_negative and report.tells_apart:
            reasons[choice.sample_id] = ACCEPTS_NEGATIVE
    with ledger.transaction():
        ledger.db.executemany(
            "UPDATE outcome SET reason = ? WHERE sample_id = ? AND reason IS NULL",
            [(reason, sample_id) for sample_id, reason in reasons.items()],
        )
    counts = ledger.drop_counts()
    return {reason: counts.get(reason, 0) for reason in (PREFERS_NEGATIVE, ACCEPTS_NEGATIVE)}


def constant_scores(ledger: Ledger) -> tuple[str, int, int] | None:
    """Model, score and number of samples of a judge that gave every sample one score only."""
    model, score, num = "", 0, 0
    judged = ledger.db.execute(
        "SELECT provenance FROM outcome WHERE provenance IS NOT NULL "
        "AND (reason IS NULL OR reason = ?)",
        (LOW_JUDGEMENT,),
    )
    for (text,) in judged:
        provenance = orjson.loads(text)
        judge = provenance.get("judge")
        if not isinstance(judge, dict):
            continue
        for part in judge.values():
            if not isinstance(part, dict):
                continue
            if score and part["score"] != score:
                return None
            score = part["score"]
        model, num = str(provenance.get("judge_model")), num + 1
    return (model, score, num) if num >= _MIN_JUDGED else None


def judge_problems(ledger: Ledger, gates: GatesConfig) -> list[str]:
    """What is wrong with the judge and what to do, a line each, where something is."""
    lines: list[str] = []
    constant = constant_scores(ledger)
    if constant is not None:
        model, score, num = constant
        lines.append(
            f"judge {model} gave the score {score} for every criterion of all {num:,} samples: its "
            "scores carry no information, so no sample is dropped for them. Name another model "
            "under `judge`, one that sees images and reads the languages."
        )
    choices = read_choices(ledger) if gates.judge_choice else []
    problem = choice_report(choices).problem(_models(choices))
    return [*lines, problem] if problem else lines


def choices_made(ledger: Ledger) -> tuple[str, ChoiceReport]:
    """The judge and what its choices say of it."""
    choices = read_choices(ledger)
    return _models(choices), choice_report(choices)


def _models(choices: list[MadeChoice]) -> str:
    return ", ".join(sorted({choice.model for choice in choices}))
