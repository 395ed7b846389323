from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RowError
from schemas.review import Edits, ReviewEvent, fold_events, read_events, write_events

ROW = {"sample_id": "0" * 24, "content_hash": "c" * 64}


def event(seq: int, kind: str = "verdict", **fields: object) -> ReviewEvent:
    return ReviewEvent.model_validate(
        {
            "event_id": f"event-{seq:04d}",
            "seq": seq,
            "ts": "2026-11-23T12:00:00Z",
            "reviewer": "scripted",
            "dataset_version": "0.1.0",
            "kind": kind,
            **ROW,
            **fields,
        }
    )


def only_state(*events: ReviewEvent):
    (state,) = fold_events(events).values()
    return state


def test_the_latest_verdict_of_a_reviewer_counts() -> None:
    rejected = event(1, verdict="reject", reasons=("language",))
    state = only_state(rejected, event(2, verdict="accept"))
    assert state.is_accepted
    assert not state.is_rejected


def test_a_tie_between_reviewers_rejects() -> None:
    state = only_state(
        event(1, verdict="accept", reviewer="one"), event(2, verdict="reject", reviewer="two")
    )
    assert state.is_rejected


def test_undo_takes_back_what_it_names() -> None:
    first, second = event(1, verdict="accept"), event(2, verdict="reject")
    state = only_state(first, second, event(3, "undo", undoes=second.event_id))
    assert state.is_accepted
    assert state.event_ids == [first.event_id]


def test_an_edit_and_its_verdict_are_one_event() -> None:
    edited = event(1, "edit", verdict="accept", edits=Edits(positive_text="تفاحة"))
    state = only_state(edited)
    assert state.edits is not None
    assert state.edits.positive_text == "تفاحة"
    assert state.is_accepted


@given(st.permutations(range(5)))
def test_the_fold_does_not_depend_on_file_order(order: list[int]) -> None:
    events = [event(i, verdict="accept" if i % 2 else "reject") for i in range(5)]
    assert fold_events(events[i] for i in order) == fold_events(events)


def test_events_come_back_from_json_lines(tmp_path: Path) -> None:
    events = [event(1, verdict="accept"), event(2, "edit", edits=Edits(negative_texts=("ב", None)))]
    assert write_events(tmp_path / "reviews.jsonl", events) == 2
    assert list(read_events(tmp_path / "reviews.jsonl")) == events


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "reviews.jsonl").write_text('{"event_id": 1}\n')
    with pytest.raises(RowError, match=r"reviews\.jsonl, row 0.*Export the reviews again"):
        list(read_events(tmp_path / "reviews.jsonl"))
