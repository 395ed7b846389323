"""The page for everybody: enough contrast, names for everything, all of it by keyboard."""

import pytest

from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import ready, show, wait_saved
from tests.curation_app.running_app import RunningApp

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")

pytestmark = MARKS


def findings(page) -> list[str]:
    violations = axe.Axe().run(page).response["violations"]
    return [f"{found['id']}: {node['target']}" for found in violations for node in found["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state_of_the_page(page, app: RunningApp, theme: str) -> None:
    page.add_init_script(f"localStorage.setItem('polyscene.theme', '{theme}')")
    show(page, app, "?language=ar&status=all")
    page.wait_for_timeout(300)  # images fade in
    found = {"reading": findings(page)}
    page.keyboard.press("1")
    page.keyboard.press("r")
    found["reasons"] = findings(page)
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.locator(".ps-area").first.fill("a\u202eb")
    page.wait_for_selector("text=contains a character that no text needs")
    found["editing"] = findings(page)
    page.keyboard.press("Escape")
    for key, name in (("z", "zoom"), ("?", "keys")):
        page.keyboard.press(key)
        found[name] = findings(page)
        page.keyboard.press("Escape")
    ready(page)
    page.keyboard.press("a")
    wait_saved(page, "Saved · accepted")
    found["saved"] = findings(page)
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_every_control_is_reached_by_tab_in_reading_order(page, app: RunningApp) -> None:
    show(page, app, "?language=he&modality=IT->IT&status=all")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        where = page.evaluate(
            """() => { const it = document.activeElement;
              const style = getComputedStyle(it);
              return [it.dataset.act ?? it.dataset.status ?? it.dataset.filter ?? it.dataset.facet,
                style.outlineStyle !== "none"]; }"""
        )
        if where[0]:
            reached.append(where)
    names = [name for name, _ in reached]
    for name in ("name", "unreviewed", "language", "zoom", "safety", "reject", "edit", "accept"):
        assert name in names
    assert names.index("language") < names.index("zoom") < names.index("accept")
    assert all(is_outlined for _, is_outlined in reached)
