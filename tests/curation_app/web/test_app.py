"""The whole web app with small pages of its own, asked over a socket and driven in Chromium."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from curation_app.data.version import VersionDataset
from tests.curation_app.web.reverse_proxy import Proxying, reverse_proxy
from tests.curation_app.web.serving import Client
from tests.curation_app.web.small_app import PASSWORD, small_apps

pytest.importorskip("gradio", reason="the pages need the extra `app`")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: install it to run browser tests"
)


@pytest.fixture(scope="module")
def apps(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Client]]:
    with small_apps(release, tmp_path_factory.mktemp("apps")) as found:
        yield found


def thumbnail(dataset: VersionDataset) -> str:
    row = int(np.flatnonzero(dataset.matching(language="ar", modality="I->I"))[0])
    return f"/thumbnails/{dataset.sample_id(row)}/query/x.webp"


def test_an_id_is_24_hexadecimal_digits_before_the_index_is_asked(
    dataset: VersionDataset, apps: dict[str, Client]
) -> None:
    path = thumbnail(dataset)
    sample_id = path.split("/")[2]
    client = apps["alone"]
    assert client.ask(path).status == 200
    for wrong in (sample_id.upper(), sample_id[:-1], sample_id + "0", "x" * 24, "a" * 4_000):
        assert client.ask(path.replace(sample_id, wrong)).status == 404
    for place in ("negative-", "negative-0000", "query-0", "%00", "..%2f", "a" * 4_000):
        assert client.ask(path.replace("/query/", f"/{place}/")).status in (404, 415)
    assert client.ask(path.replace("/query/", "/negative-999/")).status == 415
    for wrong in ("a" * 60_000, sample_id + "\n", "\ud800" * 24, "é" * 24):
        assert dataset.row_of(wrong) is None


def test_images_and_calls_need_a_session_where_there_are_accounts(
    dataset: VersionDataset, apps: dict[str, Client]
) -> None:
    client = apps["accounts"]
    paths = [thumbnail(dataset), "/audit", "/config", "/gradio_api/info", "/assets/x", "/"]
    assert {client.ask(path).status for path in paths} == {401}
    answer = client.post_form("/sign-in", {"name": "Lead", "password": PASSWORD})
    cookie = {"cookie": answer.cookie("polyscene")}
    assert {client.ask(path, headers=cookie).status for path in paths} == {200, 404}
    assert client.ask("/gradio_api/user", headers=cookie).text == '"Lead"'
    assert client.ask("/ui/shared/sign_in.css").status == 200
    assert client.ask("/ui/../app.py").status in (401, 404)


def test_no_endpoint_is_offered_and_no_document_describes_one(apps: dict[str, Client]) -> None:
    found = json.loads(apps["alone"].ask("/gradio_api/info").body)
    assert set(found["named_endpoints"]) <= {"/say", "/make"}
    assert apps["alone"].ask("/openapi.json").status == 404
    origin = {"Origin": f"http://{apps['alone'].host}"}
    answer = apps["alone"].ask("/gradio_api/info", headers=origin)
    assert answer.status == 200 and not any("access-control" in name for name in answer.headers)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=as_root)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a fresh profile; an error in its console or a request elsewhere fails the test."""
    context = browser.new_context()
    found = context.new_page()
    found.set_default_timeout(30_000)
    problems: list[str] = []
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    found.on(
        "request",
        lambda request: (
            problems.append(request.url)
            if urlsplit(request.url).hostname not in ("127.0.0.1", None)
            else None
        ),
    )
    yield found
    context.close()
    assert problems == []


def wait_for_value(page: Any, start: str) -> None:
    """Waits until a text box shows a value that begins so."""
    page.wait_for_function(
        "start => [...document.querySelectorAll('textarea, input')]"
        ".some(field => field.value.startsWith(start))",
        arg=start,
    )


def visit_both_pages(page: Any, address: str) -> None:
    """Opens the first page, asks, follows the navigation, downloads; no text has run."""
    page.goto(address)
    page.get_by_role("button", name="Ask").click()
    wait_for_value(page, "you are ")
    assert page.title() == "polyscene review"
    page.get_by_role("link", name="Audit").click()
    page.get_by_role("button", name="Make").click()
    page.locator("canvas, svg.marks").first.wait_for()
    wait_for_value(page, "made")
    with page.expect_download() as download:
        page.get_by_text("Fetch the report").first.click()
    assert download.value.suggested_filename == "report.json"
    assert page.locator("nav").get_by_text("Review").count() == 1
    assert page.title() == "polyscene review"


@pytest.mark.browser
@needs_chromium
def test_the_pages_work_behind_the_policy_without_an_error(
    page: Any, apps: dict[str, Client]
) -> None:
    visit_both_pages(page, f"http://{apps['alone'].host}/")


@pytest.mark.browser
@needs_chromium
def test_an_inline_script_of_anybody_else_does_not_run(
    browser: Any, apps: dict[str, Client]
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://{apps['alone'].host}/")
    found = page.evaluate(
        """() => new Promise(resolve => {
          const blocked = [];
          document.addEventListener("securitypolicyviolation",
            event => blocked.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          const image = document.createElement("div");
          image.innerHTML = "<img src='data:,' onerror='window.ran = true'>";
          document.body.append(script, image);
          const foreign = document.createElement("img");
          foreign.src = "http://127.0.0.2:1/x.png";
          document.body.append(foreign);
          setTimeout(() => resolve([window.ran ?? false, blocked.sort()]), 500);
        })"""
    )
    context.close()
    assert found == [False, ["img-src", "script-src-attr", "script-src-elem"]]


@pytest.mark.browser
@needs_chromium
def test_signing_in_and_out_in_a_browser(page: Any, apps: dict[str, Client]) -> None:
    home = f"http://{apps['accounts'].host}/review/"
    page.goto(f"{home}audit")
    assert page.url == f"{home}sign-in?next=%2Faudit"
    page.get_by_label("Name").fill("lead")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{home}audit")
    visit_both_pages(page, home)
    page.get_by_text("Lead · lead").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{home}sign-in")
    page.goto(home)
    assert page.url.startswith(f"{home}sign-in")


@pytest.mark.browser
@needs_chromium
def test_the_pages_of_signing_in_are_accessible(page: Any, apps: dict[str, Client]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    home = f"http://{apps['accounts'].host}/review/"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{home}sign-in")
        # Inline scripts are forbidden there: the checker comes in from outside the page.
        found = axe.run(page).response["violations"]
        assert [problem["id"] for problem in found] == []


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize(
    ("app", "prefix", "keeps_host"),
    [
        ("proxied", "", False),
        ("below", "/review", True),
        ("below", "/review", False),
        ("proxied", "", True),
    ],
    ids=["bare proxy_pass", "sub-path", "sub-path and bare", "host kept"],
)
def test_behind_a_reverse_proxy(
    page: Any, apps: dict[str, Client], app: str, prefix: str, keeps_host: bool
) -> None:
    with reverse_proxy(Proxying(apps[app].port, prefix, keeps_host)) as port:
        visit_both_pages(page, f"http://127.0.0.1:{port}{prefix}/")
        page.goto("about:blank")


@pytest.mark.browser
@needs_chromium
def test_behind_a_proxy_nobody_named_every_page_says_why(
    browser: Any, apps: dict[str, Client]
) -> None:
    context = browser.new_context()
    page = context.new_page()
    with reverse_proxy(Proxying(apps["alone"].port, keeps_host=False)) as port:
        for path in ("", "audit"):
            page.goto(f"http://127.0.0.1:{port}/{path}")
            said = page.get_by_role("alert").filter(has_text="The server refuses").inner_text()
            assert f"127.0.0.1:{port}" in said and "start the app with --proxy" in said
        page.goto("about:blank")
        context.close()
