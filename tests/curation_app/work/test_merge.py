"""Reviews of several machines come together as they happened."""

from pathlib import Path

import pytest

from curation_app.store import EventConflict, ReviewStore
from curation_app.work.merge import merge_reviews
from schemas.review import ReviewEvent, fold_events, write_events
from tests.curation_app.store.test_events import event

MORNING, NOON, EVENING = (f"2026-05-04T{hour}:00:00.000+00:00" for hour in ("09", "12", "17"))


def store_with(path: Path, *events: ReviewEvent) -> Path:
    with ReviewStore(path) as store:
        store.append_all(events)
    return path


def test_the_later_act_stands_whichever_store_it_is_in(tmp_path: Path) -> None:
    others = [event(f"other-{n:03d}", sample_id=f"{n:024x}", ts=MORNING) for n in range(1, 40)]
    laptop = store_with(
        tmp_path / "laptop.sqlite", *others, event("event-001", ts=MORNING, verdict="reject")
    )
    desktop = store_with(tmp_path / "desktop.sqlite", event("event-002", ts=EVENING))
    for sources in ([laptop, desktop], [desktop, laptop]):
        merged = merge_reviews(sources)
        assert [entry.seq for entry in merged] == list(range(1, 42))
        state = fold_events(merged)["0" * 24, "c" * 64]
        assert state.is_accepted
    plain = [entry for path in (laptop, desktop) for entry in events_of(path)]
    assert fold_events(plain)["0" * 24, "c" * 64].is_accepted, "joined with cat, without merge"


def events_of(path: Path) -> list[ReviewEvent]:
    with ReviewStore(path) as store:
        return list(store.events())


def test_an_event_in_two_sources_counts_once(tmp_path: Path) -> None:
    store = store_with(tmp_path / "a.sqlite", event("event-001", ts=NOON), event("event-002"))
    export = tmp_path / "a.jsonl"
    write_events(export, reversed(events_of(store)))
    assert [entry.event_id for entry in merge_reviews([export, store, export])] == [
        "event-001",
        "event-002",
    ]


def test_one_id_with_two_contents_is_refused(tmp_path: Path) -> None:
    first = store_with(tmp_path / "a.sqlite", event("event-001"))
    second = store_with(tmp_path / "b.sqlite", event("event-001", verdict="reject"))
    with pytest.raises(EventConflict, match=r'event "event-001".*a\.sqlite.*b\.sqlite.*again'):
        merge_reviews([first, second])
