"""A verdict counts only for what was seen; a key that is not taken is said to be."""

import pytest

from schemas.review import Verdict
from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import (
    events_of,
    press_at_once,
    ready,
    row_of,
    show,
    shown_id,
    wait_saved,
)
from tests.curation_app.running_app import RunningApp

pytestmark = MARKS


def refused(page) -> str:
    return page.locator("[data-slot=refused]").text_content()


def test_keys_before_the_images_are_there_judge_nothing(page, app: RunningApp) -> None:
    held: list = []
    page.route("**/thumbnails/**", lambda route: held.append(route))
    page.goto(app.url + "?language=ja&modality=I->I")
    page.wait_for_selector('.ps[data-mode="reading"]')
    sample = shown_id(page)
    press_at_once(page, "a", 10)
    assert refused(page) == "10 keys not taken: the card is not yet shown."
    for key in ("r", "s", "f"):
        page.keyboard.press(key)
    assert page.locator("[data-slot=why]").is_hidden()
    for route in held:
        route.continue_()
    ready(page)
    assert events_of(app, sample) == []
    page.keyboard.press("a")
    wait_saved(page, "Saved · accepted")
    assert refused(page) == ""
    [event] = events_of(app, sample)
    assert event.ms_active is not None and event.ms_active >= 150


def test_a_key_as_soon_as_the_card_is_painted_is_too_early(page, app: RunningApp) -> None:
    show(page, app, "?language=ja")
    before = len(app.events())
    page.evaluate(
        """() => new MutationObserver((_, observer) => {
          if (document.querySelector(".ps").dataset.mode !== "reading") return;
          observer.disconnect();
          document.dispatchEvent(
            new KeyboardEvent("keydown", {key: "a", code: "KeyA", bubbles: true, composed: true}));
        }).observe(document.querySelector(".ps"), {attributes: true})"""
    )
    page.keyboard.press("s")
    wait_saved(page, "Saved · skipped")
    assert "Not taken: the card is not yet shown" in refused(page)
    assert len(app.events()) == before + 1


def test_on_a_phone_accept_waits_until_both_candidates_were_in_view(page, app) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    show(page, app, "?language=hi&modality=IT->IT&status=all")
    sample, before = shown_id(page), len(app.events())
    accept = page.locator("[data-act=accept]")
    assert accept.is_disabled()
    page.keyboard.press("a")
    assert "look at the positive and the hard negative first" in refused(page)
    page.locator(".ps-positive").evaluate("side => side.scrollIntoView({block: 'center'})")
    page.wait_for_function(
        "document.querySelector('[data-act=accept]').title === 'Look at the hard negative first'"
    )
    page.mouse.wheel(0, 3000)
    page.wait_for_function("!document.querySelector('[data-act=accept]').disabled")
    assert len(app.events()) == before
    accept.click()
    wait_saved(page, "Saved · accepted")
    assert events_of(app, sample)[-1].verdict == "accept"


def test_a_filter_that_was_used_does_not_take_the_next_key(page, app: RunningApp) -> None:
    show(page, app, "?language=ar")
    page.locator("[data-filter=language]").focus()
    page.keyboard.press("a")  # a choice in the list, if anything, and no verdict
    page.wait_for_timeout(300)
    ready(page)
    before = len(app.events())
    page.locator("[data-filter=language]").select_option("hi")
    ready(page)
    assert page.evaluate("document.activeElement.dataset.slot") == "card"
    sample = shown_id(page)
    page.keyboard.press("s")
    wait_saved(page, "Saved · skipped")
    [event] = app.events()[before:]
    assert (event.sample_id, event.kind) == (sample, "skip")
    assert "language=hi" in page.url


def test_a_flag_has_a_tab_and_undo_takes_it_back(page, app: RunningApp) -> None:
    show(page, app, "?language=he&modality=T->I")
    sample = shown_id(page)
    page.keyboard.press("f")
    page.locator("[data-slot=note]").fill("is it a balloon?")
    page.keyboard.press("Enter")
    wait_saved(page, "Saved · flagged")
    page.locator("[data-status=flagged]").click()
    ready(page)
    assert shown_id(page) == sample
    page.keyboard.press("u")
    wait_saved(page, "Saved · taken back")
    assert [event.kind for event in events_of(app, sample)][-2:] == ["flag", "undo"]
    show(page, app, "?language=he&modality=T->I&status=flagged")
    assert page.locator("[data-slot=empty-title]").text_content() == "No such samples"


def test_facets_are_marked_by_key_and_button_and_stored(page, app: RunningApp) -> None:
    show(page, app, f"?sample={row_of(app.release, language='ja', modality='IT->IT')}&status=all")
    sample = shown_id(page)
    page.keyboard.press("1")
    page.keyboard.press("Shift+Digit2")
    page.keyboard.press("3")
    page.keyboard.press("3")  # again takes it back
    page.locator('[data-facet=safety][data-mark="accept"]').click()
    page.keyboard.press("r")
    page.keyboard.press("1")  # a reason now, no facet
    page.keyboard.press("Enter")
    wait_saved(page, "Saved · rejected")
    good: Verdict = "accept"
    assert events_of(app, sample)[-1].facets == {
        "fidelity": "reject",
        "alignment": good,
        "safety": good,
        "language": "reject",
    }


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (403, "This app answers on this machine only.", "refused it. This app answers on this"),
        (401, "You are signed out.", "you are signed out"),
        (200, "", "the server failed on it"),
    ],
)
def test_the_page_says_what_the_server_answered(
    page, app: RunningApp, status: int, reason: str, said: str
) -> None:
    is_refusing = False

    def answer(route) -> None:
        if is_refusing:
            route.fulfill(status=max(status, 403))
        else:
            route.continue_()

    # Before the page is opened: a route set later may miss the request that follows at once.
    page.route("**/component_server/**", answer)
    told = {"ok": status == 200, "status": status, "reason": reason, "sign_in": "/sign-in"}
    page.route("**/api/status", lambda route: route.fulfill(status=status, json=told))
    show(page, app, "?language=hi")
    is_refusing = True
    page.keyboard.press("s")
    page.wait_for_selector("text=Not saved")
    page.wait_for_timeout(500)  # longer than it takes to call an answer slow
    assert said in page.locator(".ps-status-text").text_content()
    link = page.locator("[data-slot=sign-in]")
    assert link.is_visible() == (status == 401)
    if status == 401:
        assert link.get_attribute("href").startswith("/sign-in?next=%2F%3F")
    is_refusing = False
    page.locator("[data-act=retry]").dispatch_event("click")
    wait_saved(page, "Saved · skipped")
    page.keyboard.press("u")
    wait_saved(page, "Saved · taken back")
