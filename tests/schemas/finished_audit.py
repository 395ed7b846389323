"""A small audit that is closed."""

from schemas.audit import (
    AuditDesign,
    AuditFigures,
    AuditPlan,
    AuditReport,
    Rate,
    StratumPlan,
    StratumRate,
)


def audit_report() -> AuditReport:
    """Ten rows of a hundred, one of them a defect."""
    rate = Rate(num=10, num_defects=1, rate=0.1, low=0.0025, high=0.445)
    return AuditReport(
        audit_id="0123456789abcdef",
        dataset="pictograms",
        version="0.2.0",
        started="2026-11-27T10:00:00.000+00:00",
        closed="2026-11-27T11:00:00.000+00:00",
        design=AuditDesign.model_validate(
            {"title": "Audit", "purpose": {"kind": "sample_size", "num": 10}}
        ),
        plan=AuditPlan(
            strata=(StratumPlan(name="all", population=100, num=10),),
            num_items=10,
            num_verdicts=10,
            expected_rate=0.05,
        ),
        figures=AuditFigures(
            num_drawn=10,
            num_decided=10,
            num_defects=1,
            num_unsettled=0,
            num_verdicts=10,
            num_reviewers=1,
            decision="done",
            overall=rate,
            strata=(StratumRate(name="all", population=100, num_drawn=10, found=rate),),
            facets=(),
        ),
    )
