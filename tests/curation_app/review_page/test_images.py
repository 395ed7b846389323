"""Images at their original size, many hard negatives, and writing that needs more than letters."""

import pytest

from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import show
from tests.curation_app.review_page.odd_release import LARGE_SIDE_PX, NUM_NEGATIVES
from tests.curation_app.running_app import RunningApp

pytestmark = MARKS


def scale(page) -> str:
    return page.locator("[data-slot=zoom-scale]").text_content()


def test_an_image_is_seen_at_its_original_size_moved_and_beside_another(
    page, odd_app: RunningApp
) -> None:
    show(page, odd_app, "?language=fa&status=all")
    page.keyboard.press("z")
    image = page.locator(".ps-zoom-view img")
    page.wait_for_function("document.querySelector('.ps-zoom-view img').naturalWidth > 0")
    assert image.evaluate("image => image.naturalWidth") == LARGE_SIDE_PX
    assert scale(page) not in ("100 %", "")
    page.keyboard.press("1")
    assert scale(page) == "100 %"
    assert image.evaluate("image => image.getBoundingClientRect().width") == LARGE_SIDE_PX
    before = image.bounding_box()
    page.keyboard.press("ArrowLeft")
    page.mouse.move(600, 400)
    page.mouse.down()
    page.mouse.move(600, 430)
    page.mouse.up()
    after = image.bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == (80, 30)
    page.keyboard.press("+")
    assert scale(page) == "125 %"
    page.keyboard.press("c")
    captions = page.locator(".ps-zoom-view figcaption")
    assert captions.all_text_contents() == ["Query", "Positive"]
    page.keyboard.press("n")
    assert captions.all_text_contents() == ["Positive", "Hard negative"]
    page.keyboard.press("a")  # no verdict from here
    page.keyboard.press("Escape")
    assert page.locator("[data-dialog=zoom]").is_hidden() and odd_app.events() == []


def test_many_hard_negatives_scroll_by_themselves(page, odd_app: RunningApp) -> None:
    show(page, odd_app, "?language=en&status=all")
    strip = page.locator(".ps-strip")
    assert strip.locator(".ps-side").count() == NUM_NEGATIVES
    titles = strip.locator("h3").all_text_contents()
    assert titles[-1].startswith(f"Hard negative {NUM_NEGATIVES} of {NUM_NEGATIVES}")
    assert page.evaluate("document.documentElement.scrollWidth") == 1440
    assert strip.evaluate("strip => strip.scrollWidth > strip.clientWidth")
    strip.focus()
    page.keyboard.press("End")
    page.keyboard.press("e")
    last = page.locator(f'[data-edits="negative_texts.{NUM_NEGATIVES - 1}"]')
    assert last.input_value() == f"negative {NUM_NEGATIVES - 1}"
    page.keyboard.press("Escape")


@pytest.mark.parametrize("language", ["km", "ml", "fa"])
def test_joiners_that_a_script_needs_are_no_warning(
    page, odd_app: RunningApp, language: str
) -> None:
    show(page, odd_app, f"?language={language}&status=all")
    assert page.locator(".ps-text").count() == 4
    assert page.locator(".ps-unseen").count() == 0


def test_a_font_that_is_missing_is_said_before_the_verdict(page, odd_app: RunningApp) -> None:
    show(page, odd_app, "?language=zh&status=all")
    notice = page.locator("[data-slot=fonts]")
    page.wait_for_selector("text=This browser has no font for Chinese")
    show(page, odd_app, "?language=km&status=all")
    has_font = page.evaluate(
        """async () => !(await import(new URL("ui/review/fonts.js", document.baseURI).href))
          .lacksFont(["ក្រហម"])"""
    )
    assert notice.is_hidden() == has_font
