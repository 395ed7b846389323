from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.features import REVIEW_SCHEMA
from schemas.reasons import REASONS, ReasonCode
from schemas.review import Edits, ReviewEvent, fold_events, read_events, write_events
from schemas.review_rows import review_event, review_record
from schemas.shards import read_records, write_shard
from tests.schemas.strategies import review_events

to_disk = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@to_disk
@given(events=st.lists(review_events(), min_size=1, max_size=5))
def test_events_come_back_from_parquet_and_json_lines_unchanged(
    tmp_path: Path, events: list[ReviewEvent]
) -> None:
    shard, lines = tmp_path / "train-0.parquet", tmp_path / "reviews.jsonl"
    write_shard(shard, "reviews", map(review_record, events))
    assert [review_event(record) for record in read_records(shard)] == events
    write_events(lines, events)
    assert list(read_events(lines)) == events


def test_an_edit_that_takes_edits_back_still_does_so_after_parquet() -> None:
    shared = {
        "ts": "2026-11-23T12:00:00Z",
        "reviewer": "reviewer-1",
        "dataset_version": "0.1.0",
        "sample_id": "0" * 24,
        "content_hash": "c" * 64,
        "kind": "edit",
        "verdict": "accept",
    }
    events = [
        ReviewEvent.model_validate(
            {**shared, "event_id": f"event-000{seq}", "seq": seq, "edits": made}
        )
        for seq, made in ((1, Edits(query_text="first")), (2, Edits()))
    ]
    back = [review_event(review_record(event)) for event in events]
    assert fold_events(back) == fold_events(events)
    (state,) = fold_events(back).values()
    assert state.edits == Edits()


def test_the_published_columns_are_the_fields_of_an_event() -> None:
    assert set(REVIEW_SCHEMA.names) == set(ReviewEvent.model_fields)


@given(review_events(), st.sampled_from([{"ms_active": 2**63}, {"seq": -1}, {"seq": 2**63}]))
def test_numbers_that_parquet_cannot_hold_are_no_event(
    event: ReviewEvent, change: dict[str, int]
) -> None:
    with pytest.raises(ValidationError):
        ReviewEvent.model_validate({**event.model_dump(), **change})


def test_reasons_are_the_codes_in_the_order_of_their_keys() -> None:
    assert tuple(reason.code for reason in REASONS) == get_args(ReasonCode)
    assert len(REASONS) == 10, "one a digit key"
