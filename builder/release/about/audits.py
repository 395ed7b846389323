"""Audits of earlier versions, as a release's card and quality report state them."""

from collections.abc import Sequence

from builder.release.about.markdown import table_text
from schemas.audit import AuditReport, Rate

_MAX_LISTED = 10


def audit_rows(reports: Sequence[AuditReport]) -> list[dict[str, str]]:
    """The card's table of audits, newest first."""
    newest = sorted(reports, key=lambda report: (report.closed, report.audit_id), reverse=True)
    return [_row(report) for report in newest[:_MAX_LISTED]]


def _row(report: AuditReport) -> dict[str, str]:
    figures = report.figures
    level = f"{report.design.level:.0%}"
    return {
        "version": report.version,
        "title": table_text(report.design.title),
        "num_decided": f"{figures.num_decided:,}",
        "num_reviewers": f"{figures.num_reviewers:,}",
        "rate": _percentages(figures.overall, level),
        "corrected": _percentages(figures.corrected, level),
        "seeds": f"{figures.num_seeds_found:,} of {figures.num_seeds_decided:,}"
        if figures.num_seeds_decided
        else "none planted",
        "agreement": "one reviewer per row"
        if figures.agreement is None
        else f"{figures.agreement.raw:.0%}, AC1 {figures.agreement.ac1:.2f}",
        "decision": figures.decision,
    }


def _percentages(rate: Rate | None, level: str) -> str:
    if rate is None:
        return "not measured"
    return f"{rate.rate:.1%} ({rate.low:.1%} to {rate.high:.1%}, {level})"
