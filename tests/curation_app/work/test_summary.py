"""`stats` counts what stands."""

from pathlib import Path

from curation_app.store import ReviewStore
from curation_app.work.summary import print_stats, reject_reasons, standing_events
from tests.curation_app.store.test_events import event


def test_what_was_taken_back_or_decided_otherwise_counts_for_nothing(
    tmp_path: Path, capsys
) -> None:
    why = {"verdict": "reject", "reasons": ["wrong_language"]}
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        for number in range(3):
            sample = f"{number:024x}"
            store.append(event(f"no-{number:06d}", sample_id=sample, **why))
            store.append(event(f"yes-{number:06d}", sample_id=sample))
        store.append(event("no-000009", sample_id="9" * 24, **why))
        store.undo_last(event("undo-0001", kind="undo", verdict=None))
        events = list(store.events())
        print_stats(store, None)
    assert reject_reasons(events) == {}
    assert [entry.event_id[:3] for entry in standing_events(events)] == ["yes"] * 3
    assert "Why rejected" not in capsys.readouterr().out


def test_rejects_that_stand_are_counted_by_row(tmp_path: Path) -> None:
    events = [
        event("no-000001", verdict="reject", reasons=["wrong_language"]),
        event("no-000002", reviewer="b", verdict="reject", reasons=["wrong_language", "other"]),
        event("no-000003", sample_id="1" * 24, verdict="reject", reasons=["answer_leak"]),
        event("no-000004", sample_id="1" * 24, verdict="accept", kind="adjudicate", reviewer="l"),
    ]
    assert reject_reasons(events) == {"wrong_language": 1, "other": 1}
