"""The review page in a real Chromium, on the real server."""

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest

from curation_app.dataset import VersionDataset
from curation_app.identity import REVIEWER_COOKIE
from curation_app.store import ReviewStore
from schemas.review import ReviewEvent
from tests.curation_app.conftest import HOSTILE
from tests.curation_app.running_app import RunningApp

pytest.importorskip("gradio", reason="the review pages need the extra `app`")
playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it to run browser tests"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=as_root)
        yield browser
        browser.close()


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
    foreign, errors = [], []

    def note(request) -> None:
        host = urlsplit(request.url).hostname
        if urlsplit(request.url).scheme in ("http", "https", "ws") and host != "127.0.0.1":
            foreign.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message) or dialog.dismiss())
    yield page
    page.close()
    assert (foreign, errors) == ([], [])


def show(page, app: RunningApp, query: str = "") -> None:
    page.goto(app.url + query)
    ready(page)


def ready(page) -> None:
    page.wait_for_selector('.ps[data-mode="reading"]')


def wait_saved(page, words: str) -> None:
    page.wait_for_function(
        "words => document.querySelector('.ps-status-text').textContent.includes(words)", arg=words
    )
    ready(page)


def shown_id(page) -> str:
    return page.evaluate("new URL(location.href).searchParams.get('sample')")


def events_of(app: RunningApp, sample_id: str) -> list[ReviewEvent]:
    with ReviewStore(app.store) as store:
        return store.events_of(sample_id)


def test_a_sample_stands_side_by_side_with_right_to_left_text_right(page, app: RunningApp) -> None:
    show(page, app, "?language=ar&modality=IT->IT&status=all")
    sides = page.eval_on_selector_all(
        ".ps-side",
        """sides => sides.map(side => {
          const text = side.querySelector(".ps-text"), style = getComputedStyle(text);
          const range = document.createRange();
          range.selectNodeContents(text);
          const ink = range.getBoundingClientRect(), box = text.getBoundingClientRect();
          const place = side.getBoundingClientRect();
          return {title: side.querySelector("h3").firstChild.textContent, top: place.top,
            left: place.left, lang: text.parentElement.lang, direction: style.direction,
            bidi: style.unicodeBidi, fromRight: box.right - ink.right,
            fromLeft: ink.left - box.left};
        })""",
    )
    assert [side["title"] for side in sides] == ["Query", "Positive", "Hard negative"]
    assert len({side["top"] for side in sides}) == 1
    assert sides[0]["left"] < sides[1]["left"] < sides[2]["left"]
    for side in sides:
        assert (side["lang"], side["direction"], side["bidi"]) == ("ar", "rtl", "plaintext")
        assert side["fromRight"] < 2 < 40 < side["fromLeft"]
    instruction = page.locator("[data-slot=instruction] .ps-text")
    assert instruction.evaluate("text => getComputedStyle(text).direction") == "ltr"
    page.wait_for_function("document.querySelectorAll('.ps-picture.ps-ready').length === 3")


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
    [event] = events_of(app, sample)
    assert event.verdict == "reject" and event.note == "ארץ"
    assert event.reasons == ("wrong_language", "positive_wrong")
    assert event.facets == {"language": "reject", "alignment": "reject"}


def test_an_edit_is_kept_and_typing_in_it_fires_no_key(page, app: RunningApp) -> None:
    show(page, app, "?language=hi&modality=IT->IT")
    sample = shown_id(page)
    page.keyboard.press("e")
    area = page.locator('[data-edits="query_text"]')
    area.fill("")
    area.press_sequentially("aresun नया")
    page.reload()  # the draft outlives it
    ready(page)
    page.keyboard.press("e")
    assert area.input_value() == "aresun नया"
    page.locator('[data-edits="negative_texts.0"]').fill("پتنگ x")
    page.keyboard.press("Control+Enter")
    wait_saved(page, "Saved · edited and accepted")
    [event] = events_of(app, sample)
    assert (event.kind, event.verdict) == ("edit", "accept")
    assert event.edits is not None
    assert event.edits.query_text == "aresun नया"
    assert event.edits.negative_texts == ("پتنگ x",)
    assert event.edits.positive_text is None
    page.goto(f"{app.url}?sample={sample}&status=all")
    ready(page)
    assert page.locator(".ps-query .ps-text").first.text_content() == "aresun नया"
    assert "Edited by reviewer-1" in page.locator(".ps-before summary").first.text_content()


def test_an_edit_that_changes_nothing_or_cannot_be_published_is_refused(page, app) -> None:
    show(page, app, "?language=en&modality=IT->IT")
    sample = shown_id(page)
    page.keyboard.press("e")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=Nothing was changed")
    positive = page.locator('[data-edits="positive_text"]')
    negative = page.locator('[data-edits="negative_texts.0"]')
    same = positive.input_value().upper() + " !"
    for area, text, objection in (
        (positive, "", "Positive is blank. Write a text"),
        (positive, " \n\u200b", "Positive is blank. Write a text"),
        (
            positive,
            "a \u202eb",
            "Positive holds a character that no text needs (U+202E right-to-le",
        ),
        (negative, "a\x01b", "Hard negative holds a character that no text needs (U+0001)"),
        (negative, "half \ud83d", "Hard negative holds a character that no text needs (U+D83D)"),
        (negative, same, "Hard negative says the same as the positive"),
    ):
        before = area.input_value()
        area.evaluate("(area, text) => { area.value = text }", text)
        page.evaluate("document.querySelector('.ps-status-text').textContent = ''")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(f"text={objection}")
        assert area.evaluate("area => area === document.activeElement")
        assert area.get_attribute("aria-invalid") == "true"
        area.fill(before)
        assert area.get_attribute("aria-invalid") is None
    page.keyboard.press("Escape")
    assert page.locator(".ps-area").count() == 0
    assert events_of(app, sample) == []


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


def test_the_end_of_the_queue_says_what_is_done_and_what_is_left(page, app: RunningApp) -> None:
    show(page, app, "?language=fr")
    said = page.locator("[data-slot=empty-text]")
    page.keyboard.press("s")
    wait_saved(page, "Saved · skipped")
    assert page.locator("[data-slot=empty-title]").text_content() == "Nothing left to review here"
    assert said.text_content().startswith("0 decided, 1 skipped by you: they wait under Skipped. ")
    assert "samples elsewhere: choose another language" in said.text_content()
    for act in ("previous", "next", "accept", "skip"):
        assert not page.locator(f"[data-for=reading] [data-act={act}]").is_visible()
    page.locator("[data-act=help]").click()
    page.locator("[data-dialog=help] [data-act=close]").click()
    page.reload()
    ready(page)
    page.keyboard.press("u")
    wait_saved(page, "Saved · taken back")
    page.keyboard.press("a")
    wait_saved(page, "Saved · accepted")
    assert said.text_content().startswith("It is decided. ")
    show(page, app, "?language=fr&status=rejected")
    assert page.locator("[data-slot=empty-title]").text_content() == "No such samples"


def test_keys_pressed_faster_than_the_server_answers_judge_nothing_unseen(page, app) -> None:
    show(page, app, "?language=ar")
    seen = shown_id(page)
    before = len(app.events())
    page.evaluate(
        """() => { for (let press = 0; press < 5; press++) document.dispatchEvent(
          new KeyboardEvent("keydown", {key: "a", code: "KeyA", bubbles: true, composed: true}))}"""
    )
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
    page.keyboard.press("f")
    page.locator("[data-slot=note]").fill("seen late")
    page.keyboard.press("Enter")
    wait_saved(page, "Saved · flagged")
    event = events_of(app, seen_late)[-1]
    assert event.note == "seen late" and 0 <= event.ms_active < 1500


def test_hostile_texts_are_inert_and_unseen_characters_are_shown(page, app: RunningApp) -> None:
    show(page, app, "?language=fr&status=all")
    title = page.title()
    texts = [page.locator(f".ps-{role} .ps-text") for role in ("query", "positive", "negative")]
    assert texts[0].text_content() == HOSTILE[0]
    assert texts[2].text_content() == HOSTILE[2]
    chips = texts[1].locator(".ps-unseen").all_text_contents()
    assert chips == ["RLO", "PDF", "ZWSP"]
    assert "می\u200cخواهم" in texts[1].text_content()
    page.keyboard.press("e")
    assert page.locator('[data-edits="positive_text"]').input_value() == HOSTILE[1]
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    assert page.title() == title and "owned" not in title
    card = page.locator("[data-slot=card]")
    assert card.locator("script, b, .ps-text img").count() == 0


def test_a_broken_image_is_a_placeholder_and_cannot_be_accepted(page, app: RunningApp) -> None:
    show(page, app, "?language=de&status=all")
    page.wait_for_function("document.querySelectorAll('.ps-broken').length === 2")
    page.wait_for_selector("text=Cannot be read: damaged, or not an image.")
    page.keyboard.press("a")
    page.wait_for_selector("text=An image is broken")
    page.keyboard.press("r")
    assert (
        page.locator("[data-slot=reasons] input:checked").get_attribute("value") == "broken_image"
    )
    page.keyboard.press("Escape")


def test_an_image_is_not_broken_because_the_network_was(page, app: RunningApp) -> None:
    page.route("**/thumbnails/**", lambda route: route.abort())
    show(page, app, "?language=he&modality=I->I&status=all")
    page.wait_for_timeout(1500)  # tried again in vain
    assert page.locator(".ps-broken, .ps-ready").count() == 0
    page.unroute("**/thumbnails/**")
    page.wait_for_function("document.querySelectorAll('.ps-picture.ps-ready').length === 3")


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


def test_a_verdict_is_never_stored_under_another_name_than_the_page_shows(
    context, page, app: RunningApp
) -> None:
    show(page, app, "?language=he&status=all")
    sample, before = shown_id(page), len(app.events())
    other = context.new_page()
    show(other, app)
    other.locator("[data-act=name]").click()
    other.locator("[data-slot=name]").fill("reviewer-2")
    other.keyboard.press("Enter")
    other.wait_for_function(
        "document.querySelector('[data-slot=reviewer]').textContent === 'reviewer-2'"
    )
    for key in ("a", "u"):
        assert page.locator("[data-slot=reviewer]").text_content() == "reviewer-1"
        page.keyboard.press(key)
        page.wait_for_selector("text=reviewer-2 is reviewing in this browser now")
        ready(page)
        assert len(app.events()) == before and shown_id(page) == sample
        assert page.locator("[data-slot=reviewer]").text_content() == "reviewer-2"
        context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-1", "url": app.url}])
        page.reload()
        ready(page)
        context.add_cookies([{"name": REVIEWER_COOKIE, "value": "reviewer-2", "url": app.url}])
    page.reload()
    ready(page)
    page.keyboard.press("s")
    wait_saved(page, "Saved · skipped")
    assert events_of(app, sample)[-1].reviewer == "reviewer-2"


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
    assert not page.locator("[data-dialog=why]").is_visible()
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


def test_the_page_asks_for_a_name_once(context, page, app: RunningApp) -> None:
    context.clear_cookies()
    page.goto(app.url)
    name = page.locator("[data-slot=name]")
    name.wait_for()
    page.keyboard.press("Escape")
    assert name.is_visible()
    name.fill(" مراجع ")
    name.press("Enter")
    page.wait_for_selector("[data-slot=card]:not([hidden])")
    ready(page)
    page.keyboard.press("s")
    wait_saved(page, "Saved")
    page.reload()
    ready(page)
    assert page.locator("[data-slot=reviewer]").text_content() == "مراجع"
    assert app.events()[-1].reviewer == "مراجع"


def test_a_name_that_is_none_is_said_to_be(context, page, app: RunningApp) -> None:
    context.clear_cookies()
    page.goto(app.url)
    name, hint = page.locator("[data-slot=name]"), page.locator("[data-slot=who-hint]")
    name.wait_for()
    page.keyboard.press("Enter")
    assert hint.text_content() == "Give a name."
    name.fill("\u202eeman")
    name.press("Enter")
    page.wait_for_selector("text=Give 1 to 80 letters that can be seen.")
    name.fill("reviewer-1")
    name.press("Enter")
    page.wait_for_selector("[data-slot=card]:not([hidden])")


def test_an_address_that_names_what_is_not_there_opens_something_that_is(page, app) -> None:
    show(page, app, f"?sample={'f' * 24}&status=weird&language=ar")
    assert "not in this version; here is another" in page.locator(".ps-status-text").text_content()
    assert page.locator("[data-slot=card]").is_visible()
    assert page.locator("[aria-pressed=true]").text_content() == "To review"
    assert "status" not in page.url and "f" * 24 not in page.url


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


def test_escape_loses_no_text(page, app: RunningApp) -> None:
    show(page, app, "?language=hi&modality=IT->IT&status=all")
    area = page.locator('[data-edits="query_text"]')
    page.keyboard.press("e")
    published = area.input_value()
    area.fill("लंबा नया पाठ")
    page.keyboard.press("Escape")
    assert "E brings your text back" in page.locator(".ps-status-text").text_content()
    page.keyboard.press("e")
    assert area.input_value() == "लंबा नया पाठ"
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert area.input_value() == published
    page.keyboard.press("Escape")


def test_on_a_phone_everything_is_in_reach_and_the_bar_leaves_room(page, app) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    show(page, app, "?language=he&modality=IT->IT&status=all")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    bar = page.locator(".ps-actions").bounding_box()
    assert bar["height"] < 125 and bar["y"] + bar["height"] == 844
    acts = ("previous", "undo", "skip", "flag", "next", "reject", "edit", "accept")
    boxes = {
        act: page.locator(f"[data-for=reading] [data-act={act}]").bounding_box() for act in acts
    }
    assert len({round(boxes[act]["y"]) for act in acts[:5]}) == 1
    assert len({round(boxes[act]["y"]) for act in acts[5:]}) == 1
    for box in boxes.values():
        assert box["height"] >= 42 and box["width"] >= 42
    filters = [select.bounding_box() for select in page.locator("[data-filter]").all()]
    assert len({box["y"] for box in filters}) == 1
    page.locator("[data-for=reading] [data-act=edit]").click()
    area = page.locator('[data-edits="query_text"]')
    assert area.evaluate("area => area === document.activeElement")
    bottom = area.evaluate("area => area.getBoundingClientRect().bottom")
    assert bottom < page.locator(".ps-actions").bounding_box()["y"]
    page.locator("[data-act=cancel]").click()
    assert page.locator("select[data-filter=task_type] option").first.text_content() == "Any task"


def test_the_theme_follows_the_choice(page, app: RunningApp) -> None:
    show(page, app)
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.locator("[data-act=theme]").click()
    assert page.evaluate(paper) != light
    page.reload()
    ready(page)
    assert page.evaluate(paper) != light
