"""A real Chromium on the real server; a request off loopback or an error in the page fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from curation_app.web.identity import REVIEWER_COOKIE
from tests.curation_app.chromium import AS_ROOT, CHROMIUM, watched
from tests.curation_app.review_page.odd_release import odd_release
from tests.curation_app.running_app import RunningApp

playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=AS_ROOT)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def app(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The server on the small release; its store is the module's own, since verdicts stay."""
    running = RunningApp(release, tmp_path_factory.mktemp("store") / "reviews.sqlite")
    running.start()
    yield running
    assert running.stop() < 10, "the server was slow to end"


@pytest.fixture
def context(browser, app: RunningApp) -> Iterator:
    """A browser profile of its own, in which a reviewer has given a name."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-1", "url": app.url}])
    yield context
    context.close()


@pytest.fixture
def page(context) -> Iterator:
    """A page of its own; a request that leaves loopback or an error in the page fails the test."""
    page = context.new_page()
    page.set_default_timeout(30_000)
    with watched(page):
        yield page
        page.close()


@pytest.fixture
def other_page(browser, app: RunningApp) -> Iterator:
    """A page of another reviewer's, in a browser of theirs."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-2", "url": app.url}])
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.fixture(scope="module")
def odd_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The server on rows of an unusual kind: see `odd_release`."""
    folder = tmp_path_factory.mktemp("odd")
    running = RunningApp(odd_release(folder / "release"), folder / "reviews.sqlite")
    running.start()
    yield running
    running.stop()
