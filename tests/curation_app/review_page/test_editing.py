"""Editing: what is written is kept, checked and never stored over somebody else's."""

from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import events_of, ready, show, shown_id, wait_saved
from tests.curation_app.running_app import RunningApp

pytestmark = MARKS


def test_an_edit_is_kept_and_typing_in_it_fires_no_key(page, app: RunningApp) -> None:
    show(page, app, "?language=hi&modality=IT->IT")
    sample = shown_id(page)
    page.keyboard.press("e")
    instruction = page.locator('[data-edits="instruction"]')
    instruction.fill("")
    instruction.press_sequentially("Find a sentence that fits, as near as you can.")
    page.locator('[data-edits="query_text"]').fill("आसमान में नया गुब्बारा")
    page.reload()  # the draft outlives it
    ready(page)
    page.keyboard.press("e")
    assert instruction.input_value() == "Find a sentence that fits, as near as you can."
    page.locator('[data-edits="negative_texts.0"]').fill("डोर पर लाल पतंग")
    page.keyboard.press("Control+Enter")
    wait_saved(page, "Saved · edited and accepted")
    [event] = events_of(app, sample)
    assert (event.kind, event.verdict) == ("edit", "accept")
    assert event.edits is not None
    assert event.edits.query_text == "आसमान में नया गुब्बारा"
    assert event.edits.negative_texts == ("डोर पर लाल पतंग",)
    assert event.edits.positive_text is None
    page.goto(f"{app.url}?sample={sample}&status=all")
    ready(page)
    assert page.locator(".ps-query .ps-text").first.text_content() == "आसमान में नया गुब्बारा"
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
            "Positive contains a character that no text needs (U+202E right-to-le",
        ),
        (negative, "a\x01b", "Hard negative contains a character that no text needs (U+0001)"),
        (negative, "half \ud83d", "Hard negative contains a character that no text needs (U+D83D)"),
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
