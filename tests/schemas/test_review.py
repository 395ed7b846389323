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


def test_a_leads_verdict_outranks_the_others_until_it_is_taken_back() -> None:
    rejects = [event(n, verdict="reject", reviewer=f"r{n}") for n in (1, 2)]
    final = event(3, "adjudicate", verdict="accept", reviewer="lead")
    later = event(4, verdict="reject", reviewer="r4")
    assert only_state(*rejects, final, later).is_accepted
    assert only_state(*rejects, final, later, event(5, "undo", undoes=final.event_id)).is_rejected


def test_an_accept_does_not_approve_a_text_its_sender_did_not_see() -> None:
    edit = event(1, "edit", verdict="accept", reviewer="one", edits=Edits(instruction="New."))
    blind = event(2, verdict="accept", reviewer="two", seen_edit="")
    saw = event(3, verdict="accept", reviewer="three", seen_edit=edit.event_id)
    older = event(4, verdict="accept", reviewer="four")
    state = only_state(edit, blind, saw, older)
    assert set(state.verdicts) == {"one", "three", "four"}
    assert state.edit_id == edit.event_id


def test_a_flag_stands_until_somebody_decides() -> None:
    flag = event(1, "flag", reviewer="one")
    assert only_state(flag).is_flagged
    assert not only_state(flag).is_accepted and not only_state(flag).is_rejected
    assert not only_state(flag, event(2, verdict="accept", reviewer="two")).is_flagged
    assert fold_events([flag, event(2, "undo", undoes=flag.event_id)]) == {}


def test_the_order_is_that_of_the_clock_and_then_of_the_store() -> None:
    morning = event(900, verdict="reject", ts="2026-05-04T09:00:00.000+00:00")
    evening = event(2, verdict="accept", ts="2026-05-04T18:00:00.000+02:00")
    assert only_state(morning, evening).is_accepted
    assert only_state(evening, morning, morning).is_accepted
    same = [event(1, verdict="reject"), event(2, verdict="accept")]
    assert only_state(*reversed(same)).is_accepted


@pytest.mark.parametrize("ts", ["yesterday", "2026-05-04T09:00:00", ""])
def test_a_time_that_orders_nothing_is_refused(ts: str) -> None:
    with pytest.raises(ValueError, match="time"):
        event(1, verdict="accept", ts=ts)
