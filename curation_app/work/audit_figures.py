"""What an audit has found: rates with intervals, decision, agreement, what reviewers miss."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np

from curation_app.statistics.acceptance import AcceptancePlan
from curation_app.statistics.agreement import agreement
from curation_app.statistics.prediction_powered import prediction_powered
from curation_app.statistics.proportions import Estimate, wilson
from curation_app.statistics.reliability import Detection, corrected_rate, dawid_skene
from curation_app.statistics.sequential import confidence_sequence
from curation_app.statistics.stratified import (
    StratumCount,
    stratified_estimate,
    stratum_estimate,
)
from curation_app.work.audit_votes import DecidedItem, vote_counts, vote_table
from schemas.audit import (
    AgreementFigures,
    AuditDecision,
    AuditDesign,
    AuditFigures,
    AuditPlan,
    FacetRate,
    PoweredRate,
    Rate,
    SeedFigures,
    SeedKind,
    StratumRate,
)
from schemas.review import Facet, ReviewEvent

_FACETS: tuple[Facet, ...] = get_args(Facet)
_SEED_KINDS: tuple[SeedKind, ...] = get_args(SeedKind)
_MIN_VOTES_TO_RATE = 10  # of a reviewer, before anything is said of them
_MIN_ITEMS_WITH_THREE = 20  # of two votes that differ nobody can tell which one errs


@dataclass(frozen=True, slots=True)
class Findings:
    """All that an audit's figures are made from.

    Args:
        decided: In the queue's order.
        votes: Standing votes on rows.
        num_drawn_of: Rows drawn, by stratum.
        seed_kinds: Kind by planted defect.
        seed_verdicts: (planted defect, reviewer, whether found).
    """

    design: AuditDesign
    plan: AuditPlan
    decided: Sequence[DecidedItem]
    votes: Sequence[ReviewEvent]
    num_drawn_of: dict[str, int]
    seed_kinds: dict[str, str]
    seed_verdicts: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class Scores:
    """The teacher's doubt: of the decided items, in their order, and of all rows.

    Args:
        decided_N: Shape (N,).
        population_M: Shape (M,).
        strata_M: Stratum of each row, an index into the plan's strata.
    """

    decided_N: np.ndarray
    population_M: np.ndarray
    strata_M: np.ndarray


@dataclass(frozen=True, slots=True)
class ReviewerFigures:
    """How one reviewer did; for leads, never in a report.

    Args:
        sensitivity: Share of defects they find, by Dawid and Skene; None
            where too few rows have three votes, or they have few.
        specificity: Share of sound rows they pass.
    """

    name: str
    num_votes: int
    num_defects: int
    num_seeds_shown: int
    num_seeds_found: int
    sensitivity: float | None
    specificity: float | None


def make_figures(findings: Findings, scores: Scores | None = None) -> AuditFigures:
    """The figures so far; rates are null until the first row is decided."""
    design, decided = findings.design, findings.decided
    num_defects = sum(item.is_defect for item in decided)
    overall = _overall(findings, [item.is_defect for item in decided])
    seeds_decided, seeds_found = _seeds_decided(findings)
    powered = corrected = None
    if overall is not None:
        powered = None if scores is None else _powered(findings, scores)
        if seeds_decided:
            found = corrected_rate(
                overall, Detection(seeds_found, seeds_decided), level=design.level
            )
            corrected = None if found is None else _rate("", found, num_defects)
    is_plain = is_simple_draw(findings)
    return AuditFigures(
        num_drawn=findings.plan.num_items,
        num_decided=len(decided),
        num_defects=num_defects,
        num_unsettled=sum(item.is_unsettled for item in decided),
        num_verdicts=len(findings.votes) + len(findings.seed_verdicts),
        num_reviewers=len(
            {vote.reviewer for vote in findings.votes}
            | {reviewer for _, reviewer, _ in findings.seed_verdicts}
        ),
        decision=_decision(findings, num_defects),
        overall=None if overall is None else _rate("", overall, num_defects),
        score_interval=_score_interval(findings, num_defects) if is_plain and decided else None,
        any_time=_any_time(findings) if is_plain and decided else None,
        powered=powered,
        corrected=corrected,
        strata=_strata(findings),
        facets=_facets(findings),
        agreement=_agreement(findings),
        seeds=_seeds(findings),
        num_seeds_decided=seeds_decided,
        num_seeds_found=seeds_found,
    )


def is_simple_draw(findings: Findings) -> bool:
    """Whether the rows were drawn from the whole population at random, without strata."""
    return findings.design.purpose.kind == "acceptance" or len(findings.plan.strata) == 1


def reviewer_figures(findings: Findings) -> list[ReviewerFigures]:
    """How each reviewer did, by name."""
    table, _, reviewers = vote_table(findings.votes, findings.design)
    num_with_three = int(np.count_nonzero((~np.isnan(table)).sum(axis=1) >= 3))
    fitted = dawid_skene(table) if num_with_three >= _MIN_ITEMS_WITH_THREE else None
    shown = Counter(reviewer for _, reviewer, _ in findings.seed_verdicts)
    found = Counter(reviewer for _, reviewer, is_found in findings.seed_verdicts if is_found)
    figures: list[ReviewerFigures] = []
    for name in sorted({*reviewers, *shown}):
        column = reviewers.index(name) if name in reviewers else None
        num = 0 if column is None else int(np.count_nonzero(~np.isnan(table[:, column])))
        defects = 0 if column is None else int(np.nansum(table[:, column]))
        fit = fitted if column is not None and num >= _MIN_VOTES_TO_RATE else None
        figures.append(
            ReviewerFigures(
                name=name,
                num_votes=num,
                num_defects=defects,
                num_seeds_shown=shown[name],
                num_seeds_found=found[name],
                sensitivity=None if fit is None else float(fit.sensitivity_R[column]),
                specificity=None if fit is None else float(fit.specificity_R[column]),
            )
        )
    return figures


def _overall(findings: Findings, is_defect: Sequence[bool]) -> Estimate | None:
    if not is_defect:
        return None
    strata = findings.plan.strata
    if is_simple_draw(findings):
        population = sum(stratum.population for stratum in strata)
        counts = [StratumCount("", population, len(is_defect), sum(is_defect))]
    else:
        counts = _counts(findings, is_defect)
    return stratified_estimate(counts, level=findings.design.level)


def _counts(findings: Findings, is_defect: Sequence[bool]) -> list[StratumCount]:
    num, defects = Counter[str](), Counter[str]()
    for item, defect in zip(findings.decided, is_defect, strict=True):
        num[item.stratum] += 1
        defects[item.stratum] += defect
    return [
        StratumCount(stratum.name, stratum.population, num[stratum.name], defects[stratum.name])
        for stratum in findings.plan.strata
    ]


def _decision(findings: Findings, num_defects: int) -> AuditDecision:
    plan, num_decided = findings.plan, len(findings.decided)
    if plan.max_defects is not None:
        acceptance = AcceptancePlan(plan.num_items, plan.max_defects, 0.0, 0.0)
        return acceptance.decide(num_decided, num_defects)
    return "done" if num_decided >= plan.num_items else "go on"


def _score_interval(findings: Findings, num_defects: int) -> tuple[float, float]:
    found = wilson(num_defects, len(findings.decided), level=findings.design.level)
    return found.low, found.high


def _any_time(findings: Findings) -> tuple[float, float]:
    """Over the decided rows in the queue's random order, whoever was quicker."""
    found = confidence_sequence(
        np.array([item.is_defect for item in findings.decided], dtype=float),
        population=sum(stratum.population for stratum in findings.plan.strata),
        level=findings.design.level,
    )
    return found[-1].low, found[-1].high


def _powered(findings: Findings, scores: Scores) -> PoweredRate | None:
    defect_N = np.array([item.is_defect for item in findings.decided], dtype=float)
    code_of = {stratum.name: code for code, stratum in enumerate(findings.plan.strata)}
    is_plain = is_simple_draw(findings)
    found = prediction_powered(
        defect_N,
        scores.decided_N,
        scores.population_M,
        strata_N=None
        if is_plain
        else np.array([code_of[item.stratum] for item in findings.decided]),
        strata_M=None if is_plain else scores.strata_M,
        level=findings.design.level,
    )
    if found.tuning == 0:
        return None
    rate = _rate("", found.estimate, int(defect_N.sum()))
    return PoweredRate(**rate.model_dump(), width_ratio=found.width_ratio, tuning=found.tuning)


def _strata(findings: Findings) -> tuple[StratumRate, ...]:
    if len(findings.plan.strata) == 1:
        return ()
    counts = _counts(findings, [item.is_defect for item in findings.decided])
    return tuple(
        StratumRate(
            name=count.name,
            population=count.population,
            num_drawn=findings.num_drawn_of.get(count.name, 0),
            found=None
            if count.num == 0
            else _rate(
                count.name,
                stratum_estimate(count, level=findings.design.level),
                int(count.num_defects),
            ),
        )
        for count in counts
    )


def _facets(findings: Findings) -> tuple[FacetRate, ...]:
    rates: list[FacetRate] = []
    for facet in _FACETS:
        fails = [facet in item.facets for item in findings.decided]
        estimate = _overall(findings, fails)
        if estimate is not None:
            rate = _rate(facet, estimate, sum(fails))
            rates.append(FacetRate(**rate.model_dump(), facet=facet))
    return tuple(rates)


def _agreement(findings: Findings) -> AgreementFigures | None:
    if not findings.votes:
        return None
    found = agreement(vote_counts(findings.votes, findings.design), level=findings.design.level)
    if found is None:
        return None
    alpha = found.alpha_interval
    return AgreementFigures(
        num_items=found.num_items,
        raw=found.raw,
        raw_low=found.raw_interval.low,
        raw_high=found.raw_interval.high,
        alpha=found.alpha,
        alpha_low=None if alpha is None else alpha.low,
        alpha_high=None if alpha is None else alpha.high,
        ac1=found.ac1,
        ac1_low=found.ac1_interval.low,
        ac1_high=found.ac1_interval.high,
    )


def _seeds(findings: Findings) -> tuple[SeedFigures, ...]:
    planted = Counter(findings.seed_kinds.values())
    shown, found = Counter[str](), Counter[str]()
    for seed_id, _, is_found in findings.seed_verdicts:
        kind = findings.seed_kinds[seed_id]
        shown[kind] += 1
        found[kind] += is_found
    return tuple(
        SeedFigures(
            kind=kind, num_planted=planted[kind], num_shown=shown[kind], num_found=found[kind]
        )
        for kind in _SEED_KINDS
        if planted[kind]
    )


def _seeds_decided(findings: Findings) -> tuple[int, int]:
    """Planted defects with all their verdicts, and found: decided as rows are."""
    by_seed: dict[str, list[bool]] = {}
    for seed_id, _, is_found in findings.seed_verdicts:
        by_seed.setdefault(seed_id, []).append(is_found)
    complete = [given for given in by_seed.values() if len(given) >= findings.design.overlap]
    return len(complete), sum(2 * sum(given) >= len(given) for given in complete)


def _rate(name: str, estimate: Estimate, num_defects: int) -> Rate:
    rate = cast(float, min(max(estimate.rate, 0.0), 1.0))
    return Rate(
        name=name,
        num=estimate.num,
        num_defects=num_defects,
        rate=rate,
        low=max(min(estimate.interval.low, rate), 0.0),
        high=min(max(estimate.interval.high, rate), 1.0),
    )
