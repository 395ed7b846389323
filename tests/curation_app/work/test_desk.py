"""The desk shows the next row, keeps verdicts blind, and stores what fits the row."""

from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation_app.data.version import VersionDataset, open_dataset
from curation_app.store import AlreadyDecided, ChangedMeanwhile, ReviewStore, Seen
from curation_app.work.decisions import Decision, DecisionError, edits_between
from curation_app.work.desk import Filters, ReviewDesk
from curation_app.work.people import Person
from curation_app.work.progress import ReviewProgress
from schemas.edits import EditError
from schemas.errors import RowError
from schemas.review import Edits, fold_events
from tests.curation_app.tiny_release import tiny_samples, write_release

ALL = Filters(status="all")
ONE, TWO, LEAD = Person("reviewer-1"), Person("reviewer-2"), Person("lead-1", "lead")
_ids = count()


@pytest.fixture
def desk(dataset: VersionDataset, tmp_path: Path):
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        yield ReviewDesk(dataset, store, clock=lambda: datetime(2026, 11, 23, 10, 0, tzinfo=UTC))


def decision(desk: ReviewDesk, row: int, kind: str = "verdict", **changes: object) -> Decision:
    loaded = desk.dataset.load(row)
    fields: dict[str, object] = {
        "event_id": f"event-{next(_ids):06d}",
        "sample_id": loaded.sample.id,
        "content_hash": loaded.content_hash,
        "kind": kind,
        "verdict": "accept" if kind in ("verdict", "edit") else None,
    }
    return Decision.model_validate({**fields, **changes})


def found(desk: ReviewDesk, person: Person, filters: Filters, **where: object) -> int | None:
    """The row that is found; the hold on it is given back at once."""
    row, lease = desk.find(person, filters, **where)  # type: ignore[arg-type]
    if lease is not None:
        desk.queues.release(lease.queue_id, lease.item_id, person.name)
    return row


def test_a_decided_row_is_not_shown_again(desk: ReviewDesk) -> None:
    todo = Filters()
    assert found(desk, ONE, todo) == 0
    desk.decide("reviewer-1", decision(desk, 0))
    desk.decide("reviewer-1", decision(desk, 1, kind="skip"))
    assert found(desk, ONE, todo) == 2
    assert found(desk, ONE, Filters(status="skipped")) == 1
    assert found(desk, TWO, todo) == 1  # the skip was another's own
    last, third = desk.dataset.sample_id(31), desk.dataset.sample_id(2)
    assert found(desk, ONE, todo, sample_id=last) == 2
    assert found(desk, ONE, todo, sample_id=third, step="previous") == 31
    assert found(desk, ONE, Filters(language="ar", status="edited")) is None


def test_reviewers_who_browse_at_once_get_rows_of_their_own(desk: ReviewDesk) -> None:
    people = [Person(f"reviewer-{number}") for number in range(32)]
    rows = [desk.find(person, Filters())[0] for person in people]
    assert sorted(row for row in rows if row is not None) == list(range(32))
    row, lease = desk.find(Person("late"), Filters())
    assert (row, lease) == (None, None)
    view = desk.view(Person("late"), Filters(), row, lease)
    assert (view["card"], view["num_matching"]) == (None, 32)
    assert desk.find(people[5], Filters())[0] == rows[5]  # a reload brings the same row
    desk.decide("reviewer-5", decision(desk, 5))
    assert desk.find(Person("late"), Filters(status="all")) == (0, None)


def test_a_reviewer_is_given_only_languages_they_read(desk: ReviewDesk) -> None:
    arab = Person("reader", languages=frozenset({"ar"}))
    assert [entry["value"] for entry in desk.overview(arab)["languages"]] == ["ar"]
    row = found(desk, arab, Filters())
    assert row is not None and desk.dataset.value("language", row) == "ar"
    assert found(desk, arab, Filters(language="ja")) is None
    assert desk.view(arab, Filters(), row)["num_in_filter"] == 6


def test_a_view_counts_what_the_filter_holds_and_what_its_reader_skipped(desk: ReviewDesk) -> None:
    hebrew = Filters(language="he")
    rows = np.flatnonzero(desk.dataset.matching(language="he")).tolist()
    for row in rows[:2]:
        desk.decide("reviewer-1", decision(desk, row, kind="skip"))
    for row in rows[2:]:
        desk.decide("reviewer-2", decision(desk, row))
    view = desk.view(ONE, hebrew, found(desk, ONE, hebrew))
    assert view["card"] is None
    names = ("num_matching", "num_in_filter", "num_skipped")
    assert [view[name] for name in names] == [0, len(rows), 2]
    view = desk.view(TWO, hebrew, None)
    assert [view[name] for name in names] == [2, len(rows), 0]


def test_the_card_holds_no_machine_scores_before_the_verdict(desk: ReviewDesk) -> None:
    before = desk.view(ONE, ALL, 0)["card"]
    assert before["scores"] is None and "relevance" not in str(before)
    desk.decide("reviewer-1", decision(desk, 0, verdict="reject", reasons=("answer_leak",)))
    after = desk.view(ONE, ALL, 0)["card"]
    assert after["scores"]["relevance"] == 5
    assert after["own"]["reasons"] == ["answer_leak"]
    assert desk.view(TWO, ALL, 0)["card"]["scores"] is None


def test_undo_brings_the_row_back(desk: ReviewDesk) -> None:
    desk.decide("reviewer-1", decision(desk, 3))
    assert desk.progress.counts().accepted == 1
    undone = desk.undo("reviewer-1", "undo-0001")
    assert undone is not None and undone.sample_id == desk.dataset.sample_id(3)
    assert desk.progress.counts().reviewed == 0
    assert desk.progress.state(3) is None
    assert desk.undo("reviewer-1", "undo-0002") is None


def test_a_later_verdict_replaces_an_earlier_one_only_when_it_was_seen(desk: ReviewDesk) -> None:
    first = desk.decide("reviewer-1", decision(desk, 0), seen=Seen("", ""))
    with pytest.raises(AlreadyDecided):
        desk.decide("reviewer-1", decision(desk, 0, verdict="reject"), seen=Seen("", ""))
    rejected = decision(desk, 0, verdict="reject")
    desk.decide("reviewer-1", rejected, seen=Seen(first.event_id, ""))
    assert desk.progress.counts().rejected == 1


def test_nobody_accepts_or_overwrites_a_text_they_did_not_see(desk: ReviewDesk) -> None:
    row = int(np.flatnonzero(desk.dataset.matching(language="ar", modality="IT->IT"))[0])
    unseen = Seen("", "")
    first = decision(desk, row, kind="edit", edits=Edits(query_text="نص أول"))
    stored = desk.decide("reviewer-1", first, seen=unseen)
    late = decision(desk, row, kind="edit", edits=Edits(query_text="نص ثان"))
    for stale in (late, decision(desk, row)):
        with pytest.raises(ChangedMeanwhile, match="reviewer-1 edited it"):
            desk.decide("reviewer-2", stale, seen=unseen)
    seen = desk.view(TWO, ALL, row)["card"]["seen"]
    assert seen == {"own": "", "edit": stored.event_id}
    accepted = desk.decide("reviewer-2", decision(desk, row), seen=Seen(**seen))
    assert accepted.seen_edit == stored.event_id


def test_an_act_sent_again_is_the_same_act_though_the_guidelines_changed(desk: ReviewDesk) -> None:
    act = decision(desk, 0)
    first = desk.decide("reviewer-1", act, seen=Seen("", ""))
    desk.guidelines.publish("Read the query first.", author=LEAD)
    assert desk.decide("reviewer-1", act, seen=Seen("", "")) == first
    assert desk.decide("reviewer-1", decision(desk, 1)).guideline_version == 1


def test_a_decision_on_other_content_is_refused(desk: ReviewDesk) -> None:
    with pytest.raises(DecisionError, match="it changed since it was looked at"):
        desk.decide("reviewer-1", decision(desk, 0, content_hash="0" * 64))
    with pytest.raises(RowError, match="not in version"):
        desk.decide("reviewer-1", decision(desk, 0, sample_id="f" * 24))
    assert desk.store.last_seq == 0


def test_edits_accept_the_row_as_edited_and_must_leave_it_whole(desk: ReviewDesk) -> None:
    row = int(np.flatnonzero(desk.dataset.matching(language="ar", modality="IT->IT"))[0])
    sample = desk.dataset.load(row).sample
    texts: dict[str, str | list[str]] = {
        "instruction": sample.instruction,
        "query_text": "نص جديد",
        "positive_text": sample.positive_text or "",
        "negative_texts": ["سلبي"],
    }
    edits = edits_between(sample, texts)
    assert edits == Edits(query_text="نص جديد", negative_texts=("سلبي",))
    stored = desk.decide("reviewer-1", decision(desk, row, kind="edit", edits=edits))
    assert (stored.kind, stored.verdict) == ("edit", "accept")
    card = desk.view(TWO, ALL, row)["card"]
    assert card["edited"]["by"] == "reviewer-1"
    assert card["edited"]["texts"]["query_text"] == "نص جديد"
    assert desk.progress.counts().edited == 1
    with pytest.raises(EditError, match="`query_text` is blank"):
        edits_between(sample, {**texts, "query_text": ""})
    image_only = desk.dataset.load(
        int(np.flatnonzero(desk.dataset.matching(modality="I->I"))[0])
    ).sample
    with pytest.raises(EditError, match="`positive_text` cannot be edited like this"):
        edits_between(image_only, {"positive_text": "a text it has no place for"})


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"query_text": " \n\u200b"}, "`query_text` is blank"),
        ({"positive_text": "half \ud83d"}, r"`positive_text` contains .* \(U\+D83D\)"),
        ({"negative_texts": ["\x00"]}, r"`negative_texts.0` is blank"),
        ({"negative_texts": ["\u202eabc"]}, r"`negative_texts.0` contains"),
        ({"negative_texts": [7]}, r"`negative_texts.0` is not a text"),
        ({"instruction": None, "query_text": {"a": 1}}, r"`query_text` is not a text"),
    ],
)
def test_texts_of_a_page_that_cannot_be_published_are_refused(
    desk: ReviewDesk, change: dict[str, object], objection: str
) -> None:
    row = int(np.flatnonzero(desk.dataset.matching(language="ar", modality="IT->IT"))[0])
    with pytest.raises(EditError, match=objection):
        edits_between(desk.dataset.load(row).sample, change)


def test_an_edit_that_never_saw_a_page_is_refused_as_well(desk: ReviewDesk) -> None:
    row = int(np.flatnonzero(desk.dataset.matching(language="ar", modality="IT->IT"))[0])
    edits = Edits(query_text="a\u202eb")
    with pytest.raises(EditError, match="`query_text` contains"):
        desk.decide("reviewer-1", decision(desk, row, kind="edit", edits=edits))
    assert desk.store.last_seq == 0


def test_reasons_are_a_closed_list_and_touch_facets(desk: ReviewDesk) -> None:
    stored = desk.decide(
        "reviewer-1",
        decision(desk, 0, verdict="reject", reasons=("wrong_language", "unsafe_content")),
    )
    assert stored.facets == {"language": "reject", "safety": "reject"}
    with pytest.raises(ValueError, match='no reason "boring"; one of wrong_language'):
        decision(desk, 0, verdict="reject", reasons=("boring",))


def test_verdicts_carry_over_to_a_version_whose_row_is_the_same(tmp_path: Path) -> None:
    samples, images = tiny_samples()
    kept, changed = samples[0], samples[8]
    old = open_dataset(str(write_release(tmp_path / "old", samples, images, "0.1.0")))
    others = [sample for sample in samples if sample.id != changed.id]
    edited = changed.model_copy(update={"instruction": "Find something else."})
    new = open_dataset(str(write_release(tmp_path / "new", [*others, edited], images, "0.2.0")))
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        desk = ReviewDesk(old, store)
        for sample in (kept, changed):
            row = old.row_of(sample.id)
            assert row is not None
            desk.decide("reviewer-1", decision(desk, row))
        later = ReviewProgress(new, store)
        assert later.counts().accepted == 1
        row = new.row_of(changed.id)
        assert row is not None and later.state(row) is None


@settings(max_examples=25, deadline=None)
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["reviewer-1", "reviewer-2", "reviewer-3"]),
            st.integers(0, 3),
            st.sampled_from(["accept", "reject", "skip", "undo"]),
            st.booleans(),
        ),
        max_size=25,
    )
)
def test_kept_up_to_date_or_folded_at_once_the_state_is_the_same(
    dataset: VersionDataset, tmp_path_factory: pytest.TempPathFactory, acts: list
) -> None:
    folder = tmp_path_factory.mktemp("fold")
    with ReviewStore(folder / "reviews.sqlite") as store:
        desk = ReviewDesk(dataset, store)
        for reviewer, row, act, _ in acts:
            if act == "undo":
                desk.undo(reviewer, f"undo-{next(_ids):06d}")
            elif act == "skip":
                desk.decide(reviewer, decision(desk, row, kind="skip"))
            else:
                desk.decide(reviewer, decision(desk, row, verdict=act))
        fresh = ReviewProgress(dataset, store)
        states = fold_events(store.events())
        for row in range(4):
            expected = states.get((dataset.sample_id(row), dataset.load(row).content_hash))
            assert desk.progress.state(row) == fresh.state(row) == expected
        for status in ("unreviewed", "skipped", "accepted", "rejected"):
            for reviewer in ("reviewer-1", "reviewer-2"):
                assert np.array_equal(
                    desk.progress.matching(status, reviewer), fresh.matching(status, reviewer)
                )
