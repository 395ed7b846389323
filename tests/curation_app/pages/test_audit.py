"""The audit page in a real Chromium: a lead designs, follows and closes an audit."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation_app.data.version import open_dataset
from curation_app.store import ReviewStore
from curation_app.web.identity import REVIEWER_COOKIE
from curation_app.work.audits import Audits
from curation_app.work.queues import Queues
from schemas.review import ReviewEvent
from tests.curation_app.chromium import AS_ROOT, CHROMIUM, MARKS, PATIENCE_MS
from tests.curation_app.running_app import RunningApp

playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
pytest.importorskip("gradio", reason="the pages need the extra `app`")
pytestmark = MARKS

HOSTILE = "Audit <img src=x onerror=\"document.title='owned'\"> ${document.title='owned'}"


@pytest.fixture
def page(app: RunningApp) -> Iterator:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=AS_ROOT)
        context = browser.new_context(viewport={"width": 1300, "height": 1000})
        context.add_cookies([{"name": REVIEWER_COOKIE, "value": "lead-1", "url": app.url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(dialog.message) or dialog.dismiss())
        yield page
        assert errors == []
        browser.close()


def said(page, name: str, pattern: str) -> str:
    """Waits until a text field of the page reads as wanted."""
    field = page.locator(f"#{name} textarea, #{name} input")
    playwright.expect(field).to_have_value(re.compile(pattern), timeout=PATIENCE_MS)
    return field.input_value()


def decide_all(app: RunningApp) -> None:
    """A reviewer goes through the latest audit, rejecting every other row."""
    version = open_dataset(str(app.release))
    with ReviewStore(app.store) as store:
        queues = Queues(store.database, version.version)
        audit = Audits(version, store, queues).all()[-1]
        for number, item in enumerate(queues.items(audit.queue_id)):
            row = version.row_of(item.item_id)
            assert row is not None
            store.append(
                ReviewEvent(
                    event_id=f"audit-{audit.audit_id[:8]}-{number}",
                    ts="2026-11-27T12:00:00+00:00",
                    reviewer="reviewer-9",
                    dataset_version=version.version,
                    sample_id=item.item_id,
                    content_hash=version.content_hashes([row])[row],
                    kind="verdict",
                    verdict="reject" if number % 2 else "accept",
                    queue_id=audit.queue_id,
                )
            )


def test_a_lead_designs_follows_and_closes_an_audit(app: RunningApp, page, tmp_path: Path) -> None:
    page.goto(f"{app.url}audit")
    said(page, "audit-plan", "This takes .* verdicts")
    page.get_by_label("Look at a given number of rows").check()
    page.get_by_label("Rows to look at").fill("10")
    page.get_by_label("Planted defects").last.fill("0")
    page.keyboard.press("Tab")
    said(page, "audit-plan", "This takes 10 verdicts: 10 of 32 rows")
    page.locator("#audit-title textarea, #audit-title input").fill(HOSTILE)
    page.locator("#audit-start").click()
    said(page, "audit-said", "Started Audit <img")
    said(page, "audit-decision", "Go on: 0 of 10 rows")
    page.locator("#audit-close").click()
    said(page, "audit-said", "no row is decided yet")
    decide_all(app)
    page.reload()
    said(page, "audit-decision", "Done: 10 of 10 rows")
    playwright.expect(page.locator("#audit-plot svg")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#audit-close").click()
    said(page, "audit-said", "Closed Audit")
    report = page.get_by_role("button", name="Report as a page (HTML)")
    playwright.expect(report).to_be_enabled(timeout=PATIENCE_MS)
    with page.expect_download() as download:
        report.click()
    download.value.save_as(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "50.0 %" in text and "<img" not in text
    assert page.title() == "polyscene review"
