"""Verdicts by key and button: none is lost, none is given unseen."""

import numpy as np

from curation_app.data.version import VersionDataset
from curation_app.web.identity import REVIEWER_COOKIE
from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import (
    events_of,
    press_at_once,
    ready,
    show,
    shown_id,
    wait_saved,
)
from tests.curation_app.running_app import RunningApp

pytestmark = MARKS


def test_a_key_accepts_and_the_verdict_is_on_disk_when_it_says_saved(page, app) -> None:
    show(page, app, "?language=ja")
    first = shown_id(page)
    assert "relevance" not in page.content()
    page.keyboard.press("a")
    wait_saved(page, "Saved · accepted")
    [event] = events_of(app, first)
    assert (event.kind, event.verdict, event.reviewer) == ("verdict", "accept", "reviewer-1")
    assert event.dataset_version == "0.1.0" and event.ms_active is not None
    assert shown_id(page) != first
    assert page.locator(".ps-scores dd").first.text_content() == "5 of 5"
    page.reload()
    ready(page)
    assert shown_id(page) != first
    page.goto(app.url + "?language=ja")
    ready(page)
    assert shown_id(page) != first


def test_reject_asks_for_reasons_and_keeps_the_note(page, app: RunningApp) -> None:
    show(page, app, "?language=he")
    sample = shown_id(page)
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    assert "at least one reason" in page.locator("[data-slot=why-hint]").text_content()
    page.keyboard.press("1")
    page.keyboard.press("4")
    page.locator("[data-slot=note]").fill("ארץ")
    page.locator("[data-slot=note]").press("Enter")
    wait_saved(page, "Saved · rejected")
    event = events_of(app, sample)[-1]
    assert event.verdict == "reject" and event.note == "ארץ"
    assert event.reasons == ("wrong_language", "positive_wrong")
    assert event.facets == {"language": "reject", "alignment": "reject"}


def test_skip_undo_and_next(page, app: RunningApp) -> None:
    show(page, app, "?language=en")
    first = shown_id(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"!location.search.includes('{first}')")
    ready(page)
    second = shown_id(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"location.search.includes('{first}')")
    ready(page)
    page.keyboard.press("s")
    wait_saved(page, "Saved · skipped")
    assert shown_id(page) == second
    page.keyboard.press("u")
    wait_saved(page, "Saved · taken back")
    assert shown_id(page) == first
    assert [event.kind for event in events_of(app, first)] == ["skip", "undo"]
    page.keyboard.press("f")
    page.locator("[data-slot=note]").fill("look again")
    page.keyboard.press("Enter")
    wait_saved(page, "Saved · flagged")
    assert shown_id(page) == first
    assert events_of(app, first)[-1].note == "look again"


def test_keys_pressed_faster_than_the_server_answers_judge_nothing_unseen(page, app) -> None:
    show(page, app, "?language=ar")
    seen = shown_id(page)
    before = len(app.events())
    press_at_once(page, "a", 10)
    refused = page.locator("[data-slot=refused]").text_content()
    assert refused == "9 keys not taken: the one before is still being saved."
    wait_saved(page, "Saved · accepted")
    assert [event.sample_id for event in app.events()[before:]] == [seen]


def test_a_card_that_comes_while_the_window_is_hidden_is_timed_from_when_it_is_seen(
    page, app: RunningApp
) -> None:
    page.add_init_script(
        """Object.defineProperty(document, "hidden", {get: () => window.isAway ?? false});
        window.turn = (away) => {
          window.isAway = away; document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    show(page, app, "?language=ar")
    seen_late = page.evaluate(
        """async () => {
          const before = new URL(location.href).searchParams.get("sample");
          window.turn(true);
          await new Promise((done) => setTimeout(done, 1500));
          document.dispatchEvent(
            new KeyboardEvent("keydown", {key: "s", code: "KeyS", bubbles: true, composed: true}));
          const next = () => new URL(location.href).searchParams.get("sample");
          while (next() === before) await new Promise((done) => setTimeout(done, 20));
          window.turn(false);
          return next();
        }"""
    )
    ready(page)
    page.keyboard.press("f")
    page.locator("[data-slot=note]").fill("seen late")
    page.keyboard.press("Enter")
    wait_saved(page, "Saved · flagged")
    event = events_of(app, seen_late)[-1]
    assert event.note == "seen late"
    assert event.ms_active is not None and 0 <= event.ms_active < 1500


def test_two_windows_cannot_overwrite_each_other(
    context, app: RunningApp, dataset: VersionDataset
) -> None:
    row = int(np.flatnonzero(dataset.matching(language="hi", modality="I->I"))[0])
    sample = dataset.sample_id(row)
    first, second = context.new_page(), context.new_page()
    for page in (first, second):
        show(page, app, f"?sample={sample}&status=all")
    first.keyboard.press("a")
    wait_saved(first, "Saved")
    second.keyboard.press("s")
    second.wait_for_selector("text=already decided in another window")
    assert "You accepted this" in second.locator("[data-slot=own]").text_content()
    assert [event.verdict for event in events_of(app, sample)] == ["accept"]


def test_the_space_bar_does_not_press_again_what_was_clicked(page, app: RunningApp) -> None:
    show(page, app, "?language=hi")
    before = len(app.events())
    page.locator("[data-for=reading] [data-act=skip]").click()
    wait_saved(page, "Saved · skipped")
    page.keyboard.press("Space")
    page.wait_for_timeout(300)
    assert len(app.events()) == before + 1
    page.locator("[data-for=reading] [data-act=undo]").focus()
    page.keyboard.press("Space")  # who moves by keyboard keeps the place
    wait_saved(page, "Saved · taken back")
    assert page.locator("[data-act=undo]").evaluate("it => it === document.activeElement")


def test_unsent_acts_are_those_of_the_reviewer_alone(context, page, app: RunningApp) -> None:
    """The drawer of `reviewer-1` begins the name of another reviewer's."""
    context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-1.b", "url": app.url}])
    show(page, app, "?language=hi")
    app.kill()
    page.keyboard.press("s")
    page.wait_for_selector("text=Not saved")
    page.close()  # or it would try again itself
    context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-1", "url": app.url}])
    app.start()
    other = context.new_page()
    before = len(app.events())
    show(other, app)
    other.wait_for_timeout(500)
    assert len(app.events()) == before
    context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-1.b", "url": app.url}])
    other.reload()
    other.wait_for_selector("text=Saved · skipped")
    assert [event.reviewer for event in app.events()[before:]] == ["reviewer-1.b"]


def test_a_verdict_the_server_did_not_take_is_said_unsaved_and_saved_once(
    context, page, app: RunningApp
) -> None:
    show(page, app, "?language=ar")
    other = context.new_page()
    show(other, app, "?language=ja")
    sample, left_behind, before = shown_id(page), shown_id(other), app.events()
    app.kill()
    for window in (page, other):
        window.keyboard.press("a")
        window.wait_for_selector("text=Not saved")
    other.close()
    page.keyboard.press("r")  # refused while the first is on its way
    assert not page.locator("[data-slot=why]").is_visible()
    assert app.events() == before
    app.start()
    # The page also tries again by itself, and then the button is gone before a pointer gets there.
    page.locator("[data-act=retry]").dispatch_event("click")
    wait_saved(page, "Saved · accepted")
    [event] = app.events()[len(before) :]
    assert (event.sample_id, event.verdict) == (sample, "accept")
    assert shown_id(page) != sample
    show(page, app)  # the next visit sends what a closed window could not
    wait_saved(page, "Saved · accepted")
    assert [event.sample_id for event in app.events()[len(before) + 1 :]] == [left_behind]
