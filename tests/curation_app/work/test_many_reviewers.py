"""Twenty reviewers at once: every verdict is stored, and nobody does another's work."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.large_version import make_large_version
from curation_app.data.version import VersionDataset, open_dataset
from curation_app.store import ReviewStore, Seen
from curation_app.store.queues import QueueItem
from curation_app.work.browsing import Filters
from curation_app.work.decisions import Decision
from curation_app.work.desk import ReviewDesk
from curation_app.work.people import Person

NUM_REVIEWERS, NUM_VERDICTS = 20, 50


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> VersionDataset:
    """Twelve hundred rows."""
    return open_dataset(str(make_large_version(tmp_path_factory.mktemp("large"), 1_200)))


@pytest.fixture
def desk(large: VersionDataset, tmp_path: Path) -> Iterator[ReviewDesk]:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        yield ReviewDesk(large, store)


def accept(desk: ReviewDesk, person: Person, row: int, number: int, queue=None) -> None:
    loaded = desk.dataset.load(row)
    decision = Decision(
        event_id=f"{person.name}-{number:04d}",
        sample_id=loaded.sample.id,
        content_hash=loaded.content_hash,
        kind="verdict",
        verdict="accept",
        ms_active=900,
    )
    seen = Seen("", None if queue else "")
    desk.decide(person.name, decision, seen=seen, queue=queue)


def all_at_once(work) -> None:
    people = [Person(f"reviewer-{number:02d}") for number in range(NUM_REVIEWERS)]
    with ThreadPoolExecutor(NUM_REVIEWERS) as pool:
        list(pool.map(work, people))


def test_browsing_twenty_reviewers_decide_a_thousand_rows(desk: ReviewDesk) -> None:
    def work(person: Person) -> None:
        sample_id = None
        for number in range(NUM_VERDICTS):
            row, lease = desk.find(person, Filters(), sample_id=sample_id)
            assert row is not None and lease is not None
            sample_id = desk.dataset.sample_id(row)
            accept(desk, person, row, number)

    all_at_once(work)
    decided = Counter(event.sample_id for event in desk.store.events())
    assert decided.total() == NUM_REVIEWERS * NUM_VERDICTS
    assert set(decided.values()) == {1}


@pytest.mark.parametrize("overlap", [1, 2])
def test_in_a_queue_each_row_gets_the_votes_asked_for(desk: ReviewDesk, overlap: int) -> None:
    num_items = NUM_REVIEWERS * NUM_VERDICTS // overlap
    items = [QueueItem(desk.dataset.sample_id(row), "en") for row in range(num_items)]
    made = desk.queues.create(
        title="all", origin="filter", items=items, created_by="lead", overlap=overlap, is_blind=True
    )

    def work(person: Person) -> None:
        number = 0
        while True:
            queue, lease = desk.open_queue(person, made.queue_id)
            if lease is None:
                return
            row = desk.dataset.row_of(lease.item_id)
            assert row is not None
            accept(desk, person, row, number, queue)
            number += 1

    all_at_once(work)
    votes = Counter(event.sample_id for event in desk.store.events())
    assert votes == {item.item_id: overlap for item in items}
