"""Queues in the page: items held for one reviewer, other questions, a lead's view of a dispute."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from curation_app.store.queues import QueueItem
from curation_app.web.identity import REVIEWER_COOKIE
from curation_app.work.adjudication import start_adjudication
from curation_app.work.guidelines import Guidelines
from curation_app.work.people import Person
from curation_app.work.queues import Queues
from tests.curation_app.chromium import MARKS
from tests.curation_app.review_page.browser import events_of, ready, show, shown_id, wait_saved
from tests.curation_app.running_app import RunningApp

pytestmark = MARKS
LEAD = Person("lead-1", "lead")
MARKUP = "<i onclick=alert(1)>${alert(1)}</i>"


@pytest.fixture
def store(app: RunningApp) -> Iterator[ReviewStore]:
    with ReviewStore(app.store) as store:
        yield store


@pytest.fixture
def queues(store: ReviewStore, dataset: VersionDataset) -> Queues:
    return Queues(store.database, dataset.version)


def make_queue(
    queues: Queues,
    dataset: VersionDataset,
    *,
    language: str,
    modality: str = "IT->IT",
    overlap: int = 1,
    mode: Literal["card", "forced_choice", "claims"] = "card",
) -> str:
    rows = np.flatnonzero(dataset.matching(language=language)).tolist()
    items = [
        QueueItem(dataset.sample_id(row), language)
        for row in sorted(rows, key=lambda row: dataset.value("modality", row) != modality)
    ]
    queue = queues.create(
        title=f"{language} {mode}",
        origin="filter",
        items=items,
        created_by=LEAD.name,
        overlap=overlap,
        is_blind=True,
        mode=mode,
    )
    return queue.queue_id


def become(page, app: RunningApp, name: str) -> None:
    page.context.add_cookies([{"name": REVIEWER_COOKIE, "value": name, "url": app.url}])


def test_a_queue_is_chosen_worked_through_and_says_how_far_it_is(
    page, app: RunningApp, queues: Queues, dataset: VersionDataset
) -> None:
    queue_id = make_queue(queues, dataset, language="ja")
    show(page, app)
    page.locator("[data-filter=queue]").select_option(label="ja card")
    page.wait_for_selector(".ps[data-queue]")
    ready(page)
    assert f"queue={queue_id}" in page.url
    assert page.locator("[data-filter=language]").is_hidden()
    progress = page.locator(".ps-progress-text")
    for done in range(6):
        assert progress.text_content() == f"{done} of 6 done in this queue"
        page.keyboard.press("a")
        wait_saved(page, "Saved · accepted")
        ready(page)
        page.evaluate("document.querySelector('.ps-status-text').textContent = ''")
    assert page.locator("[data-slot=empty-title]").text_content() == "This queue is done"
    assert queues.progress(queue_id).num_done == 6
    page.keyboard.press("u")
    wait_saved(page, "Saved · taken back")
    assert queues.progress(queue_id).num_done == 5
    page.locator("[data-filter=queue]").select_option("")
    page.wait_for_selector(".ps:not([data-queue])")
    assert "queue=" not in page.url


def test_two_reviewers_never_have_the_same_item_open(
    page, other_page, app: RunningApp, queues: Queues, dataset: VersionDataset
) -> None:
    queue_id = make_queue(queues, dataset, language="hi")
    show(page, app, f"?queue={queue_id}")
    show(other_page, app, f"?queue={queue_id}")
    assert shown_id(page) != shown_id(other_page)
    show(page, app, "?language=he")
    show(other_page, app, "?language=he")
    assert shown_id(page) != shown_id(other_page)
    show(other_page, app, f"?sample={shown_id(page)}")
    assert (
        "Somebody else has this sample open" in other_page.locator("[data-slot=lease]").inner_text()
    )


def test_a_hold_that_is_gone_is_said(
    page, other_page, app: RunningApp, queues: Queues, dataset: VersionDataset
) -> None:
    queue_id = make_queue(queues, dataset, language="hi")
    show(page, app, f"?queue={queue_id}")
    queues.release(queue_id, shown_id(page), "reviewer-1")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # back to this window
    page.wait_for_selector("text=Your hold on this sample has ended")
    show(other_page, app, f"?queue={queue_id}")
    assert shown_id(other_page) == shown_id(page)
    other_page.keyboard.press("a")
    wait_saved(other_page, "Saved · accepted")
    page.keyboard.press("a")
    wait_saved(page, "counts as one more opinion")


def test_a_forced_choice_is_answered_by_key(
    page, app: RunningApp, queues: Queues, dataset: VersionDataset
) -> None:
    queue_id = make_queue(queues, dataset, language="en", mode="forced_choice")
    show(page, app, f"?queue={queue_id}")
    sample = shown_id(page)
    titles = page.eval_on_selector_all(
        ".ps-side h3", "titles => titles.map(title => title.firstChild.textContent)"
    )
    assert titles == ["Query", "Left", "Right"]
    addresses = page.eval_on_selector_all("img[src*=thumbnails]", "all => all.map(one => one.src)")
    assert len(addresses) >= 3 and not any("positive" in one for one in addresses)
    page.keyboard.press("a")
    assert "this queue asks another question" in page.locator("[data-slot=refused]").text_content()
    page.keyboard.press("4")
    wait_saved(page, "Saved · rejected")
    event = events_of(app, sample)[-1]
    assert event.reasons == ("positive_wrong",) and '"choice":"neither"' in event.note


def test_a_lead_sees_who_said_what_as_plain_text_and_settles_it(
    page, app: RunningApp, store: ReviewStore, queues: Queues, dataset: VersionDataset
) -> None:
    queue_id = make_queue(queues, dataset, language="fr", overlap=2)
    show(page, app, f"?queue={queue_id}")
    sample = shown_id(page)
    page.keyboard.press("a")
    wait_saved(page, "Saved · accepted")
    page.context.add_cookies(
        [{"name": "polyscene_reviewer", "value": "reviewer-2", "url": app.url}]
    )
    show(page, app, f"?queue={queue_id}")
    page.keyboard.press("r")
    page.keyboard.press("4")
    page.locator("[data-slot=note]").fill(MARKUP)
    page.keyboard.press("Enter")
    wait_saved(page, "Saved · rejected")
    settling = start_adjudication(queues, store, queue_id, lead=LEAD)
    become(page, app, "lead-1")
    show(page, app, f"?queue={settling.queue_id}")
    votes = page.locator(".ps-vote")
    assert [vote.locator("strong").inner_text() for vote in votes.all()] == [
        "reviewer-1",
        "reviewer-2",
    ]
    assert votes.nth(1).locator(".ps-vote-note").text_content() == MARKUP
    assert "Positive does not answer the query" in votes.nth(1).inner_text()
    assert page.locator(".ps-votes i").count() == 0
    page.keyboard.press("a")
    wait_saved(page, "Saved · settled")
    assert events_of(app, sample)[-1].kind == "adjudicate"


def test_the_guidelines_are_plain_text_and_each_event_names_their_version(
    page, app: RunningApp, store: ReviewStore
) -> None:
    Guidelines(store.database).publish(f"Accept what fits.\n\n{MARKUP}", author=LEAD)
    show(page, app, "?language=hi&status=all")
    sample = shown_id(page)
    page.keyboard.press("g")
    text = page.locator("[data-slot=guidelines-text] p")
    text.nth(1).wait_for()
    assert text.all_text_contents() == ["Accept what fits.", MARKUP]
    assert "Version 1 · lead-1" in page.locator("[data-slot=guidelines-version]").inner_text()
    page.keyboard.press("a")
    wait_saved(page, "Saved · accepted")
    assert events_of(app, sample)[-1].guideline_version == 1
    page.keyboard.press("g")
    assert page.locator("[data-slot=guidelines]").is_hidden()
