"""What the review page's server answers, without a browser: queues, blindness, other questions."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from curation_app.data.version import VersionDataset
from curation_app.pages.review_acts import AnotherReviewer, ReviewActs
from curation_app.store import AlreadyDecided, ChangedMeanwhile, ReviewStore
from curation_app.store.queues import QueueItem, QueueRow
from curation_app.work.adjudication import AdjudicationError, start_adjudication
from curation_app.work.decisions import DecisionError, EditProblems, NotYetShown
from curation_app.work.desk import ReviewDesk
from curation_app.work.people import Person
from curation_app.work.planting import Planter
from curation_app.work.queues import LEASE_S, Queues, ReviewMode

ONE, TWO, LEAD = Person("reviewer-1"), Person("reviewer-2"), Person("lead-1", "lead")
_ids = count()


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(dataset: VersionDataset, tmp_path: Path, clock: Clock) -> Iterator[ReviewDesk]:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        queues = Queues(store.database, dataset.version, clock=clock)
        yield ReviewDesk(dataset, store, queues=queues)


@pytest.fixture
def acts(desk: ReviewDesk) -> ReviewActs:
    return ReviewActs(desk)


def make_queue(
    desk: ReviewDesk,
    rows: Sequence[int],
    *,
    overlap: int = 1,
    is_blind: bool = True,
    mode: ReviewMode = "card",
    others: Sequence[QueueItem] = (),
) -> QueueRow:
    items = [
        QueueItem(desk.dataset.sample_id(row), desk.dataset.value("language", row)) for row in rows
    ]
    return desk.queues.create(
        title="a queue",
        origin="audit" if others else "filter",
        items=[*items, *others],
        created_by="lead-1",
        overlap=overlap,
        is_blind=is_blind,
        mode=mode,
    )


def rows_of(desk: ReviewDesk, **wanted: str) -> list[int]:
    return np.flatnonzero(desk.dataset.matching(**wanted)).tolist()


def opened(acts: ReviewActs, person: Person, queue: QueueRow | None = None, **where: Any) -> dict:
    queue_id = "" if queue is None else queue.queue_id
    return acts.open_card(person, {"queue_id": queue_id, **where})


def message(
    person: Person, view: dict, queue: QueueRow | None = None, **changes: Any
) -> dict[str, Any]:
    """What the page sends to accept the card of a view, with changes."""
    lease = view["lease"]
    return {
        "event_id": f"event-{next(_ids):06d}",
        "reviewer": person.name,
        "queue_id": "" if queue is None else queue.queue_id,
        "sample_id": view["card"]["id"],
        "content_hash": view["card"]["content_hash"],
        "seen": view["card"]["seen"],
        "lease": lease and {key: lease[key] for key in ("queue_id", "item_id", "token")},
        "kind": "verdict",
        "verdict": "accept",
        "ms_active": 900,
        **changes,
    }


def accepted(acts: ReviewActs, person: Person, view: dict, queue: QueueRow | None = None) -> dict:
    return acts.decide(person, message(person, view, queue))


@pytest.mark.parametrize("overlap", [1, 2])
def test_reviewers_at_once_give_each_item_exactly_as_many_votes_as_asked(
    desk: ReviewDesk, acts: ReviewActs, overlap: int
) -> None:
    people = [Person(f"reviewer-{number}") for number in range(8)]
    queue = make_queue(desk, range(len(desk.dataset)), overlap=overlap)
    views = {person: opened(acts, person, queue) for person in people}
    while any(view["card"] for view in views.values()):
        for person, view in views.items():
            if view["card"]:
                views[person] = accepted(acts, person, view, queue)
            else:
                views[person] = opened(acts, person, queue)
    votes = desk.queues.votes(queue.queue_id)
    assert len(votes) == overlap * len(desk.dataset)
    assert len({(item, reviewer) for item, reviewer, _ in votes}) == len(votes)
    assert desk.queues.progress(queue.queue_id).num_done == len(desk.dataset)
    assert {event.phase for event in desk.store.events()} == {"blind"}


def test_a_crowd_that_browses_falls_on_no_row_twice(desk: ReviewDesk, acts: ReviewActs) -> None:
    def review(person: Person) -> None:
        view = opened(acts, person)
        while view["card"]:
            view = accepted(acts, person, view)

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(review, [Person(f"reviewer-{number}") for number in range(8)]))
    decided = [event.sample_id for event in desk.store.events()]
    assert len(decided) == len(set(decided)) == len(desk.dataset)


def test_a_blind_card_tells_nothing_of_others_or_machines_before_the_verdict(
    desk: ReviewDesk, acts: ReviewActs
) -> None:
    [row] = rows_of(desk, language="ar", modality="IT->IT")
    queue = make_queue(desk, [row], overlap=2)
    view = opened(acts, ONE, queue)
    texts = {"query_text": "نص جديد", "positive_text": "نص", "negative_texts": ["سلبي"]}
    edit = message(ONE, view, queue, kind="edit", texts=texts)
    acts.decide(ONE, edit)
    view = opened(acts, TWO, queue)
    card = view["card"]
    assert (card["edited"], card["scores"], card["votes"]) == (None,) * 3
    named = {"sample_id": card["id"], "queue_id": queue.queue_id}
    assert acts.provenance(TWO, named) == {"provenance": None}
    assert card["seen"] == {"own": "", "edit": None}
    told = orjson.dumps(view).decode()
    assert "نص جديد" not in told and "reviewer-1" not in told and "relevance" not in told
    saved = accepted(acts, TWO, view, queue)["saved"]
    assert saved["scores"]["relevance"] == 5
    event = desk.store.standing(card["id"], "reviewer-2")
    assert event is not None and (event.phase, event.seen_edit) == ("blind", "")
    card = opened(acts, TWO, queue, sample_id="f" * 24, step="previous")["card"]
    assert card["scores"] and card["edited"]["by"] == "reviewer-1"


def test_an_open_queue_shows_scores_at_once_and_its_events_say_so(
    desk: ReviewDesk, acts: ReviewActs
) -> None:
    queue = make_queue(desk, [0], is_blind=False)
    view = opened(acts, ONE, queue)
    assert view["card"]["scores"]["relevance"] == 5
    accepted(acts, ONE, view, queue)
    [event] = desk.store.events()
    assert (event.phase, event.queue_id) == ("open", queue.queue_id)


def test_a_planted_defect_looks_like_any_other_item_and_leaves_no_event(
    desk: ReviewDesk, acts: ReviewActs
) -> None:
    rows = rows_of(desk, language="en")[:3]
    planted = Planter(desk.dataset, np.random.default_rng(7)).plant(2, range(len(desk.dataset)))
    queue = make_queue(desk, rows, others=[seed.item for seed in planted])
    desk.seeds.add(queue.queue_id, planted)
    views, answers = [opened(acts, ONE, queue)], []
    while views[-1]["card"]:
        answers.append(accepted(acts, ONE, views[-1], queue))
        views.append({key: value for key, value in answers[-1].items() if key != "saved"})
    cards = [view["card"] for view in views[:-1]]
    assert len(cards) == 5
    assert len({orjson.dumps(shape(card)) for card in cards}) == 1
    assert len({orjson.dumps(shape(answer["saved"])) for answer in answers}) == 1
    seed_ids = {seed.sample.id for seed in planted}
    assert {card["id"] for card in cards} >= seed_ids
    assert not {event.sample_id for event in desk.store.events()} & seed_ids
    assert len(desk.seeds.verdicts(queue.queue_id)) == 2
    assert desk.queues.progress(queue.queue_id).num_done == 5


def test_undo_takes_back_what_came_last_planted_defect_or_row(
    desk: ReviewDesk, acts: ReviewActs
) -> None:
    planted = Planter(desk.dataset, np.random.default_rng(7)).plant(1, range(len(desk.dataset)))
    queue = make_queue(desk, [0], others=[planted[0].item])
    desk.seeds.add(queue.queue_id, planted)
    view = accepted(acts, ONE, opened(acts, ONE, queue), queue)
    accepted(acts, ONE, view, queue)
    undo = {"event_id": "undo-0001", "reviewer": ONE.name, "queue_id": queue.queue_id}
    for _ in range(2):  # sent again, it takes nothing else back
        undone = acts.undo(ONE, undo)
        assert undone["card"]["id"] == undone["saved"]["sample_id"] == planted[0].sample.id
    assert desk.queues.progress(queue.queue_id).num_votes == 1
    undone = acts.undo(ONE, undo | {"event_id": "undo-0002"})
    assert undone["saved"]["sample_id"] == desk.dataset.sample_id(0)
    assert desk.queues.progress(queue.queue_id).num_votes == 0


def test_undo_leads_back_to_where_the_decision_was_made(desk: ReviewDesk, acts: ReviewActs) -> None:
    queue = make_queue(desk, [5, 6])
    accepted(acts, ONE, opened(acts, ONE, queue), queue)
    accepted(acts, ONE, opened(acts, ONE))
    undo = {"event_id": "undo-0001", "reviewer": ONE.name, "queue_id": queue.queue_id}
    undone = acts.undo(ONE, undo)
    assert undone["queue"] is None and undone["lease"]["item_id"] == undone["card"]["id"]
    undone = acts.undo(ONE, {"event_id": "undo-0002", "reviewer": ONE.name})
    assert undone["queue"]["queue_id"] == queue.queue_id
    assert undone["card"]["id"] == desk.dataset.sample_id(5) == undone["lease"]["item_id"]
    assert opened(acts, TWO, queue)["card"]["id"] == desk.dataset.sample_id(6)


def test_a_forced_choice_does_not_tell_which_candidate_is_the_positive(
    desk: ReviewDesk, acts: ReviewActs
) -> None:
    rows = rows_of(desk, modality="IT->IT", language="en")
    sample = desk.dataset.load(rows[0]).sample
    queue = make_queue(desk, rows, overlap=30, mode="forced_choice")
    firsts = set()
    for number in range(20):
        person = Person(f"reviewer-{number}")
        view = opened(acts, person, queue)
        query, left, right = view["card"]["sides"]
        assert {side["role"] for side in (query, left, right)} == {"query", "left", "right"}
        assert {side["place"] for side in (query, left, right)} == {"any"}
        told = orjson.dumps(view["card"]).decode()
        assert "positive" not in told and "negative" not in told
        firsts.add(left["text"])
        chosen = "left" if left["text"] == sample.positive_text else "right"
        answer = acts.decide(person, message(person, view, queue, choice=chosen))
        assert answer["saved"]["verdict"] == "accept"
    assert firsts == {sample.positive_text, sample.negative_texts[0]}


def test_the_answers_of_a_forced_choice_become_verdicts_with_reasons(
    desk: ReviewDesk, acts: ReviewActs
) -> None:
    rows = rows_of(desk, modality="IT->IT", language="en")
    sample = desk.dataset.load(rows[0]).sample
    queue = make_queue(desk, rows, overlap=9, mode="forced_choice")
    expected = {
        "negative": ("negative_correct", {"alignment": "reject", "negative": "reject"}),
        "both": ("negative_correct", {"alignment": "accept", "negative": "reject"}),
        "neither": ("positive_wrong", {"alignment": "reject"}),
    }
    for kind, (reason, facets) in expected.items():
        person = Person(f"chooses-{kind}")
        view = opened(acts, person, queue)
        with pytest.raises(DecisionError, match="Choose one"):
            accepted(acts, person, view, queue)
        is_left = view["card"]["sides"][1]["text"] == sample.negative_texts[0]
        choice = ("left" if is_left else "right") if kind == "negative" else kind
        acts.decide(person, message(person, view, queue, choice=choice))
        event = desk.store.standing(sample.id, person.name)
        assert event is not None and event.verdict == "reject"
        assert (event.reasons, event.facets) == ((reason,), facets)
        assert orjson.loads(event.note)["choice"] == choice


def test_a_lead_settles_what_reviewers_disagree_on_and_sees_who_said_what(
    desk: ReviewDesk, acts: ReviewActs
) -> None:
    rows = rows_of(desk, modality="IT->IT", language="en") + rows_of(desk, language="he")[:1]
    queue = make_queue(desk, rows, overlap=2)
    for person in (ONE, TWO):
        view = opened(acts, person, queue)
        while view["card"]:
            said: dict[str, Any] = {}
            if person == TWO and view["card"]["language"] == "en":
                said = {"verdict": "reject", "reasons": ["positive_wrong"], "note": "a kite"}
            view = acts.decide(person, message(person, view, queue, **said))
    with pytest.raises(AdjudicationError, match="not a lead"):
        start_adjudication(desk.queues, desk.store, queue.queue_id, lead=ONE)
    settling = start_adjudication(desk.queues, desk.store, queue.queue_id, lead=LEAD)
    assert desk.queues.progress(settling.queue_id).num_items == 1
    assert settling.queue_id in str(opened(acts, LEAD)["overview"])
    assert settling.queue_id not in str(opened(acts, ONE)["overview"])
    with pytest.raises(DecisionError, match="only a lead"):
        opened(acts, ONE, settling)
    view = opened(acts, LEAD, settling)
    said = {vote["reviewer"]: vote for vote in view["card"]["votes"]}
    assert said["reviewer-1"]["verdict"] == "accept"
    assert (said["reviewer-2"]["reasons"], said["reviewer-2"]["note"]) == (
        ["positive_wrong"],
        "a kite",
    )
    texts = {"positive_text": "a balloon, floating"}
    acts.decide(LEAD, message(LEAD, view, settling, kind="edit", texts=texts))
    event = desk.store.standing(view["card"]["id"], LEAD.name)
    assert event is not None and (event.kind, event.verdict) == ("adjudicate", "accept")
    state = desk.progress.state(rows[0])
    assert state is not None and state.adjudicated == "accept" and state.edit_id == event.event_id
    with pytest.raises(AdjudicationError, match="nothing to settle"):
        start_adjudication(desk.queues, desk.store, queue.queue_id, lead=LEAD)


def test_a_verdict_on_a_card_that_was_not_seen_is_refused(acts: ReviewActs) -> None:
    view = opened(acts, ONE)
    for ms_active in (None, 0, 149):
        with pytest.raises(NotYetShown, match="Nothing was stored"):
            acts.decide(ONE, message(ONE, view, ms_active=ms_active))
    assert acts.decide(ONE, message(ONE, view, ms_active=150))["saved"]["verdict"] == "accept"


def test_a_hold_that_ended_is_said_and_the_verdict_still_counts(
    desk: ReviewDesk, acts: ReviewActs, clock: Clock
) -> None:
    queue = make_queue(desk, [0])
    view = opened(acts, ONE, queue)
    clock.now += LEASE_S + 1
    other = opened(acts, TWO, queue)
    assert other["card"]["id"] == view["card"]["id"]
    lease = message(ONE, view, queue)["lease"]
    assert acts.renew(ONE, {"lease": lease}) == {"is_held": False}
    assert accepted(acts, TWO, other, queue)["saved"]["is_late"] is False
    late = message(ONE, view, queue)
    assert acts.decide(ONE, late)["saved"]["is_late"] is True
    assert acts.decide(ONE, late)["saved"]["is_late"] is True  # sent again, nothing new
    assert desk.queues.progress(queue.queue_id).num_votes == 2


def test_a_second_window_is_told_what_the_first_decided(acts: ReviewActs) -> None:
    first, second = opened(acts, ONE), opened(acts, ONE)
    assert first["card"]["id"] == second["card"]["id"]
    accepted(acts, ONE, first)
    with pytest.raises(AlreadyDecided, match="already decided in another window"):
        accepted(acts, ONE, second)
    with pytest.raises(AnotherReviewer, match="reviewer-2 is reviewing"):
        acts.decide(TWO, message(ONE, first))


def test_a_row_that_is_left_is_free_for_others_at_once(acts: ReviewActs) -> None:
    first = opened(acts, ONE)
    assert opened(acts, TWO)["card"]["id"] != first["card"]["id"]
    held = {key: first["lease"][key] for key in ("queue_id", "item_id", "token")}
    acts.release(ONE, {"lease": held})
    third = opened(acts, Person("reviewer-3"))
    assert third["card"]["id"] == first["card"]["id"]
    looked_at = opened(acts, ONE, sample_id=third["card"]["id"], step="here")
    assert looked_at["is_open_elsewhere"] is True


def test_a_flag_keeps_the_card_and_undo_takes_it_back(desk: ReviewDesk, acts: ReviewActs) -> None:
    view = opened(acts, ONE)
    flag = message(ONE, view, kind="flag", verdict=None, note="look again")
    after = acts.decide(ONE, flag)
    assert after["card"]["id"] == view["card"]["id"]
    assert after["counts"]["flagged"] == 1
    acts.undo(ONE, {"event_id": "undo-0001", "reviewer": ONE.name})
    assert desk.progress.counts().flagged == 0


def test_every_text_that_a_release_would_refuse_is_named(acts: ReviewActs) -> None:
    view = opened(acts, ONE, filters={"language": "en", "modality": "IT->IT"})
    texts = {"query_text": "a\u202eb", "positive_text": " ", "negative_texts": ["\x07"]}
    edit = message(ONE, view, kind="edit", texts=texts)
    with pytest.raises(EditProblems) as refused:
        acts.decide(ONE, edit)
    fields = [problem.field for problem in refused.value.problems]
    assert fields == ["query_text", "positive_text", "negative_texts.0"]
    checked = acts.check(ONE, {"sample_id": view["card"]["id"], "texts": texts})
    assert [problem["field"] for problem in checked["problems"]] == fields


def test_a_stale_edit_names_whoever_was_quicker(desk: ReviewDesk, acts: ReviewActs) -> None:
    sample_id = desk.dataset.sample_id(rows_of(desk, language="en", modality="IT->IT")[0])
    here: dict[str, Any] = {"sample_id": sample_id, "step": "here"}
    mine, other = opened(acts, ONE, **here), opened(acts, TWO, **here)
    acts.decide(TWO, message(TWO, other, kind="edit", texts={"query_text": "two"}))
    stale = message(ONE, mine, kind="edit", texts={"query_text": "one"})
    with pytest.raises(ChangedMeanwhile) as refused:
        acts.decide(ONE, stale)
    assert refused.value.edit is not None and refused.value.edit.reviewer == "reviewer-2"
    with pytest.raises(ChangedMeanwhile):
        accepted(acts, ONE, mine)


def shape(value: Any) -> Any:
    """Keys and types of plain JSON, without its values."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return "list"
    return "text or none" if isinstance(value, str | None) else type(value).__name__
