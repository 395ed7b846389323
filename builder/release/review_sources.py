"""Reads the reviews and audits that go into a release, and finds newer ones."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from builder.release.rows import ReleaseError
from builder.workspace import Workspace
from schemas.audit import AuditReport, AuditReportError, parse_audit_report, read_audit_report
from schemas.review import ReviewEvent, in_order
from schemas.review_store import is_store, read_audit_reports, read_reviews


def review_sources(workspace: Workspace, given: Sequence[Path]) -> list[Path]:
    """The files named, else the workspace's own export and store if they exist.

    Raises:
        ReleaseError: A file that was named is missing.
    """
    missing = next((path for path in given if not path.is_file()), None)
    if missing is not None:
        raise ReleaseError(
            f"{missing}: no such file. Name a review store or an export of one, or leave it out."
        )
    own = (workspace.reviews_path, workspace.review_store_path)
    return list(given) or [path for path in own if path.is_file()]


def read_sources(sources: Iterable[Path]) -> list[ReviewEvent]:
    """Events of stores and exports, each once, in the order they happened.

    Raises:
        ReviewSourceError: A source is neither a review store nor an export.
        RowError: A line of an export is not an event.
    """
    return in_order(event for source in sources for event in read_reviews(source))


def read_audits(
    dataset: str, sources: Iterable[Path], reports: Iterable[Path]
) -> list[AuditReport]:
    """Closed audits of a dataset's versions, each once, oldest first.

    Args:
        dataset: Its name; a store may have audits of other datasets.
        sources: Review stores and exports; only stores hold audits.
        reports: JSON files, as `python -m curation_app audit report` writes them.

    Raises:
        AuditReportError: A report cannot be read, or is of another dataset.
    """
    found = [
        parse_audit_report(report, where=str(source))
        for source in sources
        for report in read_audit_reports(source)
    ]
    for path in reports:
        report = read_audit_report(path)
        if report.dataset != dataset:
            raise AuditReportError(
                f"{path}: an audit of {report.dataset!r}, not of {dataset!r}. Leave it out."
            )
        found.append(report)
    own = {report.audit_id: report for report in found if report.dataset == dataset}
    return sorted(own.values(), key=lambda report: (report.closed, report.audit_id))


def newer_reviews(
    workspace: Workspace, sources: Sequence[Path], taken: Iterable[ReviewEvent]
) -> tuple[Path, int] | None:
    """A store with events that are not in a release, and how many.

    Reads the sources again, since people may go on reviewing meanwhile, and
    also the stores beside an export and the workspace's own. So is its export,
    which has what others published and `rebase` brought in.
    """
    known = {event.event_id for event in taken}
    beside = (source.with_suffix(".sqlite") for source in sources)
    own = (workspace.review_store_path, workspace.reviews_path)
    for store in dict.fromkeys((*sources, *beside, *own)):
        if store.is_file() and (is_store(store) or store == workspace.reviews_path):
            num_newer = sum(event.event_id not in known for event in read_reviews(store))
            if num_newer:
                return store, num_newer
    return None
