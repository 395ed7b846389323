"""Two people on one row: nobody's work is undone unseen, and nobody's text is lost."""

from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import events_of, ready, row_of, show, wait_saved
from tests.curation_app.running_app import RunningApp

pytestmark = MARKS
SKY = "a yellow balloon in the sky"


def write(page, field: str, text: str) -> None:
    page.locator(f'[data-edits="{field}"]').fill(text)


def test_a_stale_edit_is_refused_with_the_others_change_and_kept(
    page, other_page, app: RunningApp
) -> None:
    sample = row_of(app.release, language="en", modality="IT->IT")
    for window in (page, other_page):
        show(window, app, f"?sample={sample}&status=all")
        window.keyboard.press("e")
    write(other_page, "query_text", SKY)
    other_page.keyboard.press("Control+Enter")
    wait_saved(other_page, "Saved · edited")
    write(page, "positive_text", "a balloon high above a roof")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=reviewer-2 edited it after you opened it")
    conflict = page.locator("[data-slot=conflict]")
    assert "reviewer-2 edited and accepted this while you looked" in conflict.text_content()
    assert conflict.locator("ins").all_text_contents() == ["yellow"]
    assert conflict.locator("del").all_text_contents() == ["red"]
    assert [event.reviewer for event in events_of(app, sample)] == ["reviewer-2"]
    ready(page)
    page.keyboard.press("e")  # the own text on top of the other's
    assert page.locator('[data-edits="query_text"]').input_value() == SKY
    positive = page.locator('[data-edits="positive_text"]')
    assert positive.input_value() == "a balloon high above a roof"
    page.keyboard.press("Control+Enter")
    wait_saved(page, "Saved · edited")
    edits = events_of(app, sample)[-1].edits
    assert edits is not None and edits.query_text == SKY
    assert edits.positive_text == "a balloon high above a roof"


def test_nobody_accepts_a_text_that_came_while_they_looked(
    page, other_page, app: RunningApp
) -> None:
    sample = row_of(app.release, language="hi", modality="IT->IT")
    for window in (page, other_page):
        show(window, app, f"?sample={sample}&status=all")
    other_page.keyboard.press("e")
    write(other_page, "negative_texts.0", "लाल पतंग")
    other_page.keyboard.press("Control+Enter")
    wait_saved(other_page, "Saved · edited")
    before = len(events_of(app, sample))
    page.keyboard.press("a")
    page.wait_for_selector("text=Look at it again, then decide.")
    assert len(events_of(app, sample)) == before
    assert "लाल" in page.locator("[data-slot=conflict] ins").first.text_content()
    ready(page)
    page.keyboard.press("a")
    wait_saved(page, "Saved · accepted")
    assert events_of(app, sample)[-1].seen_edit == events_of(app, sample)[before - 1].event_id


def test_while_editing_the_published_text_and_the_change_are_shown(page, app: RunningApp) -> None:
    show(page, app, f"?sample={row_of(app.release, language='he', modality='IT->IT')}&status=all")
    page.keyboard.press("e")
    changes = page.locator(".ps-query .ps-changes")
    assert changes.is_hidden()
    before = page.locator('[data-edits="query_text"]').input_value()
    write(page, "query_text", before.replace("אדום", "כחול"))
    assert changes.locator("del").all_text_contents() == ["אדום"]
    assert changes.locator("ins").all_text_contents() == ["כחול"]
    write(page, "query_text", "a\u202eb")
    page.wait_for_selector(
        "text=Query contains a character that no text needs"
    )  # before it is saved
    write(page, "query_text", before)
    assert changes.is_hidden()
    page.keyboard.press("Escape")


def test_line_ends_that_a_text_area_changes_are_no_edit(page, odd_app: RunningApp) -> None:
    show(page, odd_app, "?language=de&status=all")
    page.keyboard.press("e")
    assert page.locator(".ps-changes:visible").count() == 0
    write(page, "instruction", "Find the best caption.")
    page.keyboard.press("Control+Enter")
    wait_saved(page, "Saved · edited")
    edits = odd_app.events()[-1].edits
    assert edits is not None
    assert edits.model_dump(exclude_none=True) == {"instruction": "Find the best caption."}
