"""What the tests of the review page do with it: open it, wait for it, read what it stored."""

from pathlib import Path

from curation_app.store import ReviewStore
from schemas.review import ReviewEvent
from tests.curation_app.running_app import RunningApp


def show(page, app: RunningApp, query: str = "") -> None:
    page.goto(app.url + query)
    ready(page)


def ready(page) -> None:
    """Waits until a verdict may be given, or there is nothing to give one on."""
    page.wait_for_selector('.ps[data-mode="reading"]:is([data-seen], [data-empty])')


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


def press_at_once(page, key: str, times: int) -> None:
    """Presses a letter key several times before the page can draw anything."""
    page.evaluate(
        """([key, times]) => { for (let press = 0; press < times; press++) document.dispatchEvent(
          new KeyboardEvent("keydown", {
            key, code: "Key" + key.toUpperCase(), bubbles: true, composed: true}))}""",
        [key, times],
    )


def row_of(release: Path, **wanted: str) -> str:
    """Id of the first row with a language, task type and modality."""
    import numpy as np

    from curation_app.data.version import open_dataset

    dataset = open_dataset(str(release))
    return dataset.sample_id(int(np.flatnonzero(dataset.matching(**wanted))[0]))
