"""Who is reviewing, where there are no accounts."""

from curation_app.web.identity import REVIEWER_COOKIE
from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import events_of, ready, show, shown_id, wait_saved
from tests.curation_app.running_app import RunningApp

pytestmark = MARKS


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
