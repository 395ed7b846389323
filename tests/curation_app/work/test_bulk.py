"""One verdict on many rows: by a lead, all or none, and never on an edit nobody looked at."""

from pathlib import Path

import pytest

from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from curation_app.work.bulk import MAX_ROWS, BulkError, decide_all
from curation_app.work.decisions import Decision
from curation_app.work.desk import ReviewDesk
from curation_app.work.marks import marks_of, review_marks
from curation_app.work.paired_reviews import rejected_by_version
from curation_app.work.people import Person
from schemas.review import Edits

LEAD, REVIEWER = Person("lead-1", "lead"), Person("reviewer-1")


@pytest.fixture
def desk(dataset: VersionDataset, tmp_path: Path):
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        yield ReviewDesk(dataset, store)


def edit(desk: ReviewDesk, row: int, text: str) -> None:
    loaded = desk.dataset.load(row)
    desk.decide(
        "reviewer-1",
        Decision(
            event_id=f"edit-of-row-{row}",
            sample_id=loaded.sample.id,
            content_hash=loaded.content_hash,
            kind="edit",
            verdict="accept",
            edits=Edits(instruction=text),
            ms_active=5_000,
        ),
    )


def test_each_row_gets_the_verdict_with_its_reasons(desk: ReviewDesk) -> None:
    rows = [1, 4, 9]
    done = decide_all(
        desk,
        LEAD,
        rows,
        verdict="reject",
        reasons=["answer_leak"],
        note=" checked by a script ",
        batch_id="batch-0001",
        expected=3,
    )
    assert (done.num_stored, done.num_with_edits) == (3, 0)
    events = list(desk.store.events())
    assert {event.sample_id for event in events} == {desk.dataset.sample_id(row) for row in rows}
    assert {(event.verdict, event.note) for event in events} == {("reject", "checked by a script")}
    assert events[0].facets == {"alignment": "reject"} and events[0].ui_version == "bulk/1"
    marks = review_marks(desk.progress)
    assert [row for row in range(len(desk.dataset)) if marks["rejected"][row]] == rows
    assert marks_of(marks, 1) == "rejected" and marks_of(marks, 0) == "unreviewed"


def test_a_second_press_stores_nothing_twice(desk: ReviewDesk) -> None:
    for num_stored in (2, 0):
        done = decide_all(desk, LEAD, [1, 2], verdict="accept", batch_id="batch-0001", expected=2)
        assert done.num_stored == num_stored
    assert desk.store.last_seq == 2


def test_an_edit_nobody_looked_at_is_not_accepted(desk: ReviewDesk) -> None:
    edit(desk, 2, "Find the picture that the query describes.")
    done = decide_all(desk, LEAD, [1, 2], verdict="accept", batch_id="batch-0001", expected=2)
    assert (done.num_stored, done.num_with_edits) == (1, 1)
    assert marks_of(review_marks(desk.progress), 2) == "accepted, edited"


@pytest.mark.parametrize(
    ("person", "rows", "change", "words"),
    [
        (REVIEWER, [1], {}, "only a lead"),
        (LEAD, [1, 2], {"expected": 3}, "now has 2 samples, not 3"),
        (LEAD, [], {"expected": 0}, "0 samples"),
        (LEAD, range(MAX_ROWS + 1), {"expected": MAX_ROWS + 1}, "10,001 samples"),
        (LEAD, [1], {"reasons": []}, "needs a reason or a note"),
        (LEAD, [1], {"reasons": ["weird"]}, "reason is unknown"),
        (LEAD, [1], {"note": "x" * 2_001}, "note is too long"),
    ],
)
def test_what_may_not_be_decided_at_once_stores_nothing(
    desk: ReviewDesk, person: Person, rows, change: dict, words: str
) -> None:
    asked = {"reasons": ["answer_leak"], "note": "", "expected": len(rows)} | change
    with pytest.raises(BulkError, match=words):
        decide_all(desk, person, rows, verdict="reject", batch_id="batch-0001", **asked)
    assert desk.store.last_seq == 0


def test_samples_judged_count_for_the_version_they_were_judged_on(desk: ReviewDesk) -> None:
    decide_all(desk, LEAD, [1], verdict="reject", note="wrong", batch_id="batch-0001", expected=1)
    decide_all(desk, LEAD, [2], verdict="accept", batch_id="batch-0002", expected=1)
    [judged] = rejected_by_version(desk.store, [desk.dataset])
    assert judged == {desk.dataset.sample_id(1): True, desk.dataset.sample_id(2): False}
