"""Search, coverage and compare in a real Chromium, on rows whose texts are payloads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation_app.store import ReviewStore
from curation_app.store.database import Database
from curation_app.store.queues import QueueStore
from curation_app.web.identity import REVIEWER_COOKIE
from schemas.shards import read_samples
from tests.curation_app.chromium import AS_ROOT, CHROMIUM, MARKS, watched
from tests.curation_app.conftest import HOSTILE
from tests.curation_app.running_app import RunningApp
from tests.curation_app.tiny_release import draw, write_release

pytest.importorskip("gradio", reason="the pages need the extra `app`")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
pytestmark = MARKS

PAYLOAD = HOSTILE[0]


@pytest.fixture(scope="module")
def versions_app(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The small release as version 0.2.0, beside a 0.1.0 in which the hostile row was different."""
    folder = tmp_path_factory.mktemp("versions")
    shutil.copytree(release, folder / "0.2.0")
    shards = sorted(folder.glob("0.2.0/data/*/*.parquet"))
    read = [row for shard in shards for row in read_samples(shard)]
    images = {sha: file.data for _, files in read for sha, file in files.items()}
    older = [
        sample.model_copy(update={"positive_text": f"{PAYLOAD} before"})
        if sample.language == "fr"
        else sample
        for sample, _ in read
    ]
    write_release(folder / "0.1.0", older, images | {"": draw(1)}, "0.1.0")
    manifest = folder / "0.2.0" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version":"0.1.0"', '"version":"0.2.0"'))
    running = RunningApp(folder / "0.2.0", folder / "reviews.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=AS_ROOT)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, versions_app: RunningApp) -> Iterator:
    """A page of its own; anything that leaves loopback, runs or breaks in it fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.add_cookies([{"name": REVIEWER_COOKIE, "value": "lead-1", "url": versions_app.url}])
    page = context.new_page()
    page.set_default_timeout(20_000)
    with watched(page):
        yield page
        title = page.title()
        context.close()
    assert title != "owned"


def wait_value(page, element: str, words: str) -> None:
    """Waits until a text box has these words in it."""
    page.wait_for_function(
        """([id, words]) => [...document.querySelectorAll(`#${id} textarea, #${id} input`)]
          .some(box => box.value.includes(words))""",
        arg=[element, words],
    )


def open_search(page, app: RunningApp, query: str = "") -> None:
    page.goto(f"{app.url}search{query}")
    wait_value(page, "search-summary", "sample")


def cell(page, table: str, text: str):
    return page.locator(f"#{table} [role=gridcell]", has_text=text).first


def test_payloads_are_only_text_in_a_table_and_a_grid(page, versions_app: RunningApp) -> None:
    open_search(page, versions_app, "?language=fr")
    wait_value(page, "search-summary", "1 sample")
    assert PAYLOAD in cell(page, "search-table", "<img src=x").text_content()
    page.locator("button[role=tab]", has_text="Pictures").click()
    card = page.locator(".search-card")
    card.wait_for()
    assert card.locator(".search-text").first.text_content() == PAYLOAD
    assert card.locator("img").count() == 3
    page.wait_for_function(
        "[...document.querySelectorAll('.search-picture')].every(image => image.naturalWidth > 0)"
    )
    assert page.locator(".search-card [onerror], .search-card script, .search-card b").count() == 0


def test_payloads_are_only_text_in_sql_results(page, versions_app: RunningApp) -> None:
    open_search(page, versions_app)
    page.locator("button[role=tab]", has_text="SQL").click()
    code = page.locator("#sql-code .cm-content")
    code.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(
        "SELECT id, query_text AS \"<img src=x onerror=alert(1)>\" FROM rows WHERE language = 'fr'"
    )
    page.locator("#sql-run").click()
    wait_value(page, "sql-note", "1 row")
    assert PAYLOAD in cell(page, "sql-table", "<img src=x").text_content()
    page.locator("#sql-show").click()
    wait_value(page, "search-summary", "1 sample from SQL")


def test_an_error_in_sql_is_shown_in_words(page, versions_app: RunningApp) -> None:
    open_search(page, versions_app)
    page.locator("button[role=tab]", has_text="SQL").click()
    code = page.locator("#sql-code .cm-content")
    code.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("COPY rows TO '/tmp/x.csv'")
    page.locator("#sql-run").click()
    wait_value(page, "sql-note", "Permission Error")


def test_text_is_found_and_a_clicked_row_leads_to_its_card(page, versions_app) -> None:
    open_search(page, versions_app)
    wait_value(page, "search-summary", "32 samples")
    page.locator("#search-text input, #search-text textarea").first.fill("بالون")
    page.locator("#search-go").click()
    wait_value(page, "search-summary", "5 samples")
    chosen = cell(page, "search-table", "بالون أحمر")
    direction = chosen.locator("span").first.evaluate("it => getComputedStyle(it).unicodeBidi")
    assert direction == "plaintext"
    chosen.click()
    page.wait_for_selector("a#search-open[href*='sample=']")
    page.locator("#search-similar").click()
    wait_value(page, "search-summary", "nearest first")
    page.locator("#search-open").click()
    page.wait_for_selector(".ps")
    assert "sample=" in page.url and "/search" not in page.url


def test_a_result_becomes_a_queue(page, versions_app: RunningApp) -> None:
    open_search(page, versions_app, "?language=ja")
    page.get_by_text("Make a queue from this result").click()
    page.locator("#queue-title input, #queue-title textarea").first.fill("日本語 <b>all</b>")
    page.locator("#queue-make").click()
    wait_value(page, "queue-note", 'Queue "日本語 <b>all</b>" has 6 samples')
    database = Database(versions_app.store)
    [queue] = [one for one in QueueStore(database).all("0.2.0") if one.origin == "search"]
    items = QueueStore(database).items(queue.queue_id)
    database.close()
    assert len(items) == 6 and {item.language for item in items} == {"ja"} and queue.is_blind


def test_one_verdict_for_all_is_confirmed_by_its_number(page, versions_app: RunningApp) -> None:
    open_search(page, versions_app, "?language=he&task_type=vqa")
    page.get_by_text("One verdict for all of this result").click()
    page.locator("#bulk-note textarea, #bulk-note input").first.fill("whole language is wrong")
    page.locator("#bulk-ask").click()
    wait_value(page, "bulk-answer", "This will reject 1 sample as lead-1")
    with ReviewStore(versions_app.store) as store:
        assert [event for event in store.events() if event.ui_version == "bulk/1"] == []
    page.locator("#bulk-confirm").click()
    wait_value(page, "bulk-answer", "Verdicts stored: 1.")
    with ReviewStore(versions_app.store) as store:
        [event] = [event for event in store.events() if event.ui_version == "bulk/1"]
    assert (event.verdict, event.note, event.reviewer) == (
        "reject",
        "whole language is wrong",
        "lead-1",
    )


def test_a_cell_of_the_coverage_opens_the_review(page, versions_app: RunningApp) -> None:
    page.goto(f"{versions_app.url}coverage")
    wait_value(page, "coverage-summary", "32 rows in 7 languages")
    row = page.locator("#coverage-table [role=row]", has=page.locator("text=Japanese"))
    row.locator("[role=gridcell]").nth(3).click()
    wait_value(page, "coverage-cell", "Japanese, classification I->T: 1 rows")
    page.locator("#coverage-review").click()
    page.wait_for_selector(".ps")
    assert "language=ja" in page.url and "task_type=classification" in page.url


def test_versions_are_compared_and_payloads_are_only_text(page, versions_app) -> None:
    page.goto(f"{versions_app.url}compare")
    wait_value(page, "compare-summary", "0.1.0 to 0.2.0: 0 rows added, 0 removed, 1 changed.")
    cell(page, "compare-rows", "changed").click()
    page.wait_for_selector("#compare-table >> text=before")
    assert f"{PAYLOAD} before" in cell(page, "compare-table", "<img src=x").text_content()
    words = page.locator("#compare-words")
    words.locator("text=positive_text").first.wait_for()
    assert "<img" in words.text_content().replace(" ", "")
    assert page.locator("#compare-words img, #compare-words script").count() == 0
