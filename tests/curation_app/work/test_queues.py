"""Queues give each reviewer an item of their own, and each item the votes it needs."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curation_app.store import ReviewStore
from curation_app.store.queues import QueueItem
from curation_app.work.people import Person
from curation_app.work.queues import LEASE_S, QueueError, Queues
from tests.curation_app.store.test_events import event

LEAD = "lead"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReviewStore]:
    with ReviewStore(tmp_path / "reviews.sqlite") as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queues(store: ReviewStore, clock: Clock) -> Queues:
    return Queues(store.database, "0.1.0", clock=clock)


def items(count: int, language: str = "en") -> list[QueueItem]:
    return [QueueItem(f"{number:024x}", language) for number in range(count)]


def person(number: int, *languages: str) -> Person:
    return Person(f"reviewer-{number}", "reviewer", frozenset(languages) if languages else None)


def decide(store: ReviewStore, queue_id: str, item_id: str, who: Person, **changes: object) -> str:
    event_id = f"{who.name}-{queue_id}-{item_id}"[-64:]
    act = event(event_id, reviewer=who.name, sample_id=item_id, queue_id=queue_id, **changes)
    return store.append(act).event_id


@pytest.mark.parametrize(("overlap", "num_reviewers"), [(1, 20), (2, 20), (3, 4)])
def test_reviewers_at_once_decide_each_item_exactly_as_often_as_asked(
    store: ReviewStore, queues: Queues, overlap: int, num_reviewers: int
) -> None:
    queue = queues.create(
        title="all", origin="filter", items=items(60), created_by=LEAD, overlap=overlap
    )

    def work(number: int) -> list[str]:
        done: list[str] = []
        while lease := queues.claim(queue.queue_id, person(number)):
            decide(store, queue.queue_id, lease.item_id, person(number))
            done.append(lease.item_id)
        return done

    with ThreadPoolExecutor(num_reviewers) as pool:
        decided = list(pool.map(work, range(num_reviewers)))
    votes = Counter(item_id for done in decided for item_id in done)
    assert votes == {item.item_id: overlap for item in items(60)}
    assert all(len(done) == len(set(done)) for done in decided)
    assert queues.progress(queue.queue_id).num_done == 60


def test_everybody_browsing_gets_a_sample_of_their_own(queues: Queues) -> None:
    samples = [item.item_id for item in items(200)]
    leases = [queues.claim_first(samples, person(number)) for number in range(100)]
    assert len({lease.item_id for lease in leases if lease}) == 100
    assert queues.claim_first(samples[:5], person(100)) is None
    again = queues.claim_first(samples, person(3))
    assert again is not None
    assert again.item_id == samples[3]


def test_a_reload_shows_the_item_that_is_held(queues: Queues) -> None:
    queue = queues.create(title="all", origin="filter", items=items(3), created_by=LEAD)
    first = queues.claim(queue.queue_id, person(1))
    assert first == queues.claim(queue.queue_id, person(1))
    assert first is not None
    following = queues.claim(queue.queue_id, person(1), after=first.item_id)
    assert following is not None
    assert following.item_id == items(3)[1].item_id
    other = queues.claim(queue.queue_id, person(2))
    assert other is not None
    assert other.item_id == first.item_id, "what was passed by is free again"


def test_a_lease_ends_by_itself_unless_it_is_renewed(queues: Queues, clock: Clock) -> None:
    queue = queues.create(title="one", origin="filter", items=items(1), created_by=LEAD)
    lease = queues.claim(queue.queue_id, person(1))
    assert lease is not None
    clock.now += LEASE_S - 1
    assert queues.renew(queue.queue_id, lease.item_id, lease.reviewer, lease.token)
    clock.now += LEASE_S - 1
    assert queues.claim(queue.queue_id, person(2)) is None
    clock.now += 2
    assert queues.claim(queue.queue_id, person(2)) is not None
    assert not queues.renew(queue.queue_id, lease.item_id, lease.reviewer, lease.token)


def test_items_go_to_those_who_read_their_language(queues: Queues) -> None:
    mixed = [QueueItem("a" * 24, "ja"), QueueItem("b" * 24, "ar")]
    queue = queues.create(title="mixed", origin="filter", items=mixed, created_by=LEAD)
    lease = queues.claim(queue.queue_id, person(1, "ar", "fa"))
    assert lease is not None
    assert lease.item_id == "b" * 24
    assert queues.claim(queue.queue_id, person(2, "de")) is None


def test_undo_gives_the_item_back_and_a_skip_keeps_it_from_its_reviewer(
    store: ReviewStore, queues: Queues
) -> None:
    queue = queues.create(title="two", origin="filter", items=items(1), created_by=LEAD)
    (item,) = items(1)
    decide(store, queue.queue_id, item.item_id, person(1))
    assert queues.progress(queue.queue_id).num_done == 1
    undo = event("undo-0001", kind="undo", verdict=None, reviewer="reviewer-1", sample_id="")
    assert store.undo_last(undo) is not None
    assert queues.progress(queue.queue_id).num_votes == 0
    decide(store, queue.queue_id, item.item_id, person(2), kind="skip", verdict=None)
    assert queues.claim(queue.queue_id, person(2)) is None
    assert queues.claim(queue.queue_id, person(1)) is not None


def test_what_others_have_begun_comes_first(store: ReviewStore, queues: Queues) -> None:
    queue = queues.create(
        title="pairs", origin="filter", items=items(5), created_by=LEAD, overlap=2
    )
    decide(store, queue.queue_id, items(5)[3].item_id, person(1))
    lease = queues.claim(queue.queue_id, person(2))
    assert lease is not None
    assert lease.item_id == items(5)[3].item_id


def test_a_closed_queue_gives_nothing_and_keeps_its_votes(
    store: ReviewStore, queues: Queues
) -> None:
    queue = queues.create(title="all", origin="filter", items=items(2), created_by=LEAD)
    decide(store, queue.queue_id, items(2)[0].item_id, person(1))
    queues.close(queue.queue_id)
    with pytest.raises(QueueError, match=r'queue "all" is closed'):
        queues.claim(queue.queue_id, person(2))
    assert len(queues.votes(queue.queue_id)) == 1
    assert queues.all() == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"title": " "}, "title has 1 to 120"),
        ({"title": "a\u202eb"}, "printable"),
        ({"items": []}, "it would be empty"),
        ({"items": [*items(1), *items(1)]}, "appears twice"),
        ({"overlap": 0}, "overlap 0, 1 to 50"),
    ],
)
def test_a_queue_that_cannot_be_made_says_why(
    queues: Queues, changes: dict[str, object], problem: str
) -> None:
    asked: dict[str, object] = {"title": "all", "items": items(1), **changes}
    with pytest.raises(QueueError, match=problem):
        queues.create(origin="filter", created_by=LEAD, **asked)  # pyright: ignore
    with pytest.raises(QueueError, match="no such queue"):
        queues.get("nowhere")
