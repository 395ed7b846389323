"""What the audit page shows and does for reviewers and for leads, without a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation_app.store import ReviewStore
from curation_app.work.audit_plan import checked_design
from curation_app.work.people import Person
from curation_app.work.workbench import Workbench, open_workbench
from schemas.review import ReviewEvent

pytest.importorskip("gradio", reason="the pages need the extra `app`")

LEAD, REVIEWER = Person("lead-1", "lead"), Person("noor")


@pytest.fixture
def bench(release: Path, tmp_path: Path) -> Iterator[Workbench]:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        yield open_workbench(str(release), store, tmp_path / "cache")


def page_of(bench: Workbench, person: Person | None) -> Any:
    """The page's logic, as it answers to one person; its components are not built."""
    from curation_app.pages.audit import AuditPage

    return AuditPage(bench, lambda request: person)


def start(bench: Workbench) -> str:
    design = checked_design({"title": "Audit", "purpose": {"kind": "sample_size", "num": 6}})
    audit = bench.audits.start(design, LEAD)
    for item in bench.queues.items(audit.queue_id):
        row = bench.dataset.row_of(item.item_id)
        assert row is not None
        bench.store.append(
            ReviewEvent(
                event_id=f"event-{item.item_id}",
                ts="2026-11-27T12:00:00+00:00",
                reviewer="noor",
                dataset_version=bench.dataset.version,
                sample_id=item.item_id,
                content_hash=bench.dataset.content_hashes([row])[row],
                kind="verdict",
                verdict="reject",
                queue_id=audit.queue_id,
            )
        )
    return audit.audit_id


def test_while_an_audit_runs_only_leads_see_its_figures(bench: Workbench) -> None:
    audit_id = start(bench)
    for person, sees in ((LEAD, True), (REVIEWER, False), (None, False)):
        shown = page_of(bench, person).show(audit_id, None)
        assert ("100 %" in str(shown)) is sees
        assert ("<svg" in str(shown)) is sees


def test_a_closed_audit_is_shown_to_all_without_how_each_did(bench: Workbench) -> None:
    audit_id = start(bench)
    bench.audits.close(audit_id, LEAD)
    shown = str(page_of(bench, REVIEWER).show(audit_id, None))
    assert "100 %" in shown and "noor" not in shown
    assert "noor" in str(page_of(bench, LEAD).show(audit_id, None))


def test_only_a_lead_starts_or_closes(bench: Workbench) -> None:
    audit_id = start(bench)
    from curation_app.pages.audit_form import DEFAULTS

    page = page_of(bench, REVIEWER)
    assert "Only a lead" in page.start_audit(None, "Mine", *DEFAULTS)[-1]
    assert "Only a lead" in page.close_audit(None, audit_id)[-1]
    assert len(bench.audits.all()) == 1 and not bench.audits.get(audit_id).is_closed
    lead = page_of(bench, LEAD)
    assert "Started Mine" in lead.start_audit(None, "Mine", *_small())[-1]
    assert "Closed Audit" in lead.close_audit(None, audit_id)[-1]


def test_a_wrong_id_or_design_is_said_in_words(bench: Workbench) -> None:
    lead = page_of(bench, LEAD)
    assert "no such audit" in str(lead.show("f" * 5_000, None))
    assert "title" in lead.start_audit(None, "  ", *_small())[-1]


def _small() -> list[Any]:
    """The form's values for five rows and no planted defects."""
    from curation_app.pages.audit_form import DEFAULTS

    values = list(DEFAULTS)
    values[0], values[3], values[14] = "sample_size", 5, 0
    return values
