"""The quality page in Chromium: figures and plots of a version, and a version without them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from curation_app.web.identity import REVIEWER_COOKIE
from tests.curation_app.chromium import AS_ROOT, CHROMIUM, MARKS, watched
from tests.curation_app.running_app import RunningApp
from tests.curation_app.tiny_release import tiny_samples, write_release

pytest.importorskip("gradio", reason="the pages need the extra `app`")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")

pytestmark = MARKS
_SCORE = {"draft": 4.3, "draft_of_judged": 4.2, "revision_by_judge": 3.6}
_CRITERIA = {
    "scope": {"languages": {"num": 5, "entropy_bits": 2.1, "effective": 4.3}},
    "alignment": {
        "scored_share": 0.9,
        "scores": {"median": 0.31},
        "scores_by_language": {
            code: {"num": 9, "p05": low, "p25": low, "median": low + 0.1, "p75": 0.5, "p95": 0.6}
            for code, low in (("en", 0.2), ("ar", -0.1), ("<img src=x onerror=alert(1)>", 0.1))
        },
        "not_measured": {"round_trip_rank": "<b>needs vectors</b>"},
    },
    "fidelity": {
        "scores": dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), _SCORE),
        "audited_defect_rate": {"rate": 0.031, "low": 0.014, "high": 0.06},
        "funnel": [
            {"stage": "asked for", "rows": 40},
            {"stage": "reply readable", "rows": 35},
            {"stage": "published", "rows": 30},
        ],
    },
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    directory = write_release(tmp_path_factory.mktemp("measured"), *tiny_samples())
    (directory / "quality.json").write_bytes(orjson.dumps({"criteria": _CRITERIA}))
    running = RunningApp(directory, tmp_path_factory.mktemp("store") / "reviews.sqlite")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=AS_ROOT)
        yield found
        found.close()


def opened(browser: Any, app: RunningApp, width: int, theme: str = "light") -> Any:
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-1", "url": app.url}])
    page = context.new_page()
    page.set_default_timeout(30_000)
    return page, f"{app.url}quality?__theme={theme}"


@pytest.mark.parametrize(("width", "theme"), [(320, "light"), (320, "dark"), (1600, "dark")])
def test_figures_and_plots_fit_the_page(
    browser: Any, measured: RunningApp, tmp_path: Path, width: int, theme: str
) -> None:
    page, url = opened(browser, measured, width, theme)
    with watched(page):
        page.goto(url)
        page.wait_for_selector("#quality-fidelity >> text=3.1% (1.4% to 6.0%)")
        page.wait_for_function("document.querySelectorAll('.vega-embed svg, canvas').length >= 3")
        assert "5, as even as 4.3" in page.inner_text("#quality-scope")
        assert page.input_value("#quality-alignment-missing textarea") == (
            "round trip rank (<b>needs vectors</b>)"
        )
        assert "measured when it was released" in page.input_value("#quality-summary textarea")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} px wide"
        assert page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.context.close()


def test_a_version_without_the_figures_says_so(browser: Any, app: RunningApp) -> None:
    page, url = opened(browser, app, 800)
    with watched(page):
        page.goto(url)
        page.wait_for_function(
            "document.querySelector('#quality-summary textarea')?.value.includes('earlier version')"
        )
        assert page.locator("#quality-scope").count() == 0 or not page.is_visible("#quality-scope")
    page.context.close()
