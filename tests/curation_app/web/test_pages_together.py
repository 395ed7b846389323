"""Every page of the app as `serve` starts it, in Chromium: found, styled, and without an error."""

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from curation_app.web.identity import REVIEWER_COOKIE
from tests.curation_app.chromium import UnderWay
from tests.curation_app.running_app import RunningApp

pytest.importorskip("gradio", reason="the pages need the extra `app`")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it to run browser tests"),
]
PAGES = ("Review", "Audit", "Coverage", "Quality", "Compare", "Search", "Admin")


@pytest.fixture(scope="module")
def context(app: RunningApp) -> Iterator[Any]:
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=as_root)
        found = browser.new_context()
        found.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-1", "url": app.url}])
        yield found
        browser.close()


def test_every_page_is_reached_by_the_navigation_without_an_error(
    context: Any, app: RunningApp
) -> None:
    page = context.new_page()
    page.set_default_timeout(30_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: said.type == "error" and problems.append(said.text))
    page.on("response", lambda got: got.status >= 400 and problems.append(got.url))
    page.on("request", lambda sent: problems.append(sent.url) if is_foreign(sent.url) else None)
    under_way = UnderWay(page)
    page.goto(app.url)
    under_way.wait()
    for name in PAGES:
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        path = "/" if name == "Review" else f"/{name.lower()}"
        page.wait_for_url(lambda url, path=path: urlsplit(url).path == path)
        page.wait_for_selector(".gradio-container .block")
        page.wait_for_load_state("load")
        under_way.wait()
        sheets = page.eval_on_selector_all("link[rel=stylesheet]", "all => all.map(l => l.href)")
        assert any(sheet.endswith("review.css") for sheet in sheets) == (name == "Review")
        assert problems == [], name
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(context: Any, app: RunningApp, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    found = {}
    for name in PAGES[1:]:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{app.url}{name.lower()}?__theme={theme}")
        page.wait_for_selector(".gradio-container .block")
        page.wait_for_timeout(2_000)  # tables and plots come after the frame
        violations = axe.Axe().run(page).response["violations"]
        found[name] = [
            f"{one['id']}: {node['html'][:200]}"
            for one in violations
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        page.close()
    assert {name: problems for name, problems in found.items() if problems} == {}


def is_foreign(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"
