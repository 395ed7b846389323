"""Planted defects: what they show, whose images, and that their verdicts stay apart."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from curation_app.data.thumbnails import image_at
from curation_app.data.version import VersionDataset
from curation_app.store import AlreadyDecided, EventConflict, ReviewStore
from curation_app.store.queues import QueueRow
from curation_app.work.decisions import Decision, DecisionError
from curation_app.work.people import Person
from curation_app.work.planting import Planted, Planter
from curation_app.work.queues import Queues
from curation_app.work.seeds import Seeds
from tests.curation_app.work.audited_release import audited_release

_ids = count()


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> VersionDataset:
    return audited_release(tmp_path_factory.mktemp("seeded"))


@pytest.fixture(scope="module")
def planted(version: VersionDataset) -> list[Planted]:
    return Planter(version, np.random.default_rng(5)).plant(60, range(len(version)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReviewStore]:
    with ReviewStore(tmp_path / "reviews.sqlite") as opened:
        yield opened


@pytest.fixture
def queues(version: VersionDataset, store: ReviewStore) -> Queues:
    return Queues(store.database, version.version)


@pytest.fixture
def queue(queues: Queues, seeds: Seeds, planted: list[Planted]) -> QueueRow:
    made = queues.create(
        title="seeds", origin="audit", items=[one.item for one in planted], created_by="lead"
    )
    seeds.add(made.queue_id, planted)
    return made


@pytest.fixture
def seeds(version: VersionDataset, store: ReviewStore) -> Seeds:
    return Seeds(version, store)


def decision(planted: Planted, verdict: str | None = "reject", **changes: object) -> Decision:
    fields: dict[str, object] = {
        "event_id": f"event-{next(_ids):08d}",
        "sample_id": planted.sample.id,
        "content_hash": planted.sample.content_hash,
        "kind": "verdict" if verdict else "skip",
        "verdict": verdict,
    }
    return Decision.model_validate({**fields, **changes})


def test_every_kind_is_planted_in_a_row_of_its_own(
    version: VersionDataset, planted: list[Planted]
) -> None:
    assert {one.kind for one in planted} == {"swapped", "other_language", "other_query"}
    assert len({one.origin for one in planted}) == len({one.sample.id for one in planted}) == 60
    for one in planted:
        row = version.row_of(one.origin)
        assert row is not None and version.row_of(one.sample.id) is None
        origin = version.load(row).sample
        assert one.sample.content_hash != origin.content_hash
        assert (one.sample.language, one.sample.cell) == (origin.language, origin.cell)


def test_a_swap_shows_the_hard_negative_as_the_positive(
    version: VersionDataset, planted: list[Planted]
) -> None:
    for one in (one for one in planted if one.kind == "swapped"):
        row = version.row_of(one.origin)
        assert row is not None
        origin = version.load(row).sample
        assert one.sample.positive_text == origin.negative_texts[0]
        assert one.sample.negative_images[0] == origin.positive_image
        assert one.sample.query_text == origin.query_text


def test_another_language_and_another_query_come_from_other_rows(
    version: VersionDataset, planted: list[Planted]
) -> None:
    samples = [version.load(row).sample for row in range(len(version))]
    for one in planted:
        if one.kind == "other_language":
            text = one.sample.positive_text or one.sample.query_text
            found = [s for s in samples if text in (s.positive_text, s.query_text)]
            assert found and all(s.language != one.sample.language for s in found)
        if one.kind == "other_query":
            mine = next(s for s in samples if s.id == one.origin)
            assert (one.sample.query_text, one.sample.query_image) != (
                mine.query_text,
                mine.query_image,
            )


def test_every_image_is_found_where_it_is_said_to_be(
    version: VersionDataset, seeds: Seeds, queue: QueueRow, planted: list[Planted]
) -> None:
    for one in planted:
        homes = seeds.image_home(one.sample.id)
        assert homes is not None
        shown = {"query": one.sample.query_image, "positive": one.sample.positive_image}
        shown["negative-0"] = one.sample.negative_images[0]
        assert {place for place, sha in shown.items() if sha} == set(homes)
        for place, (home_id, home_place) in homes.items():
            row = version.row_of(home_id)
            assert row is not None
            assert image_at(version.load(row), home_place) == shown[place]


def test_an_item_that_is_no_planted_defect_is_none(seeds: Seeds, version: VersionDataset) -> None:
    row_id = version.sample_id(0)
    assert seeds.sample(row_id) is seeds.image_home(row_id) is seeds.origin(row_id) is None
    assert seeds.standing(row_id, "noor") is None and not seeds.take_back("event-none", "noor")


def test_a_verdict_counts_as_a_vote_and_is_no_event(
    seeds: Seeds, queue: QueueRow, queues: Queues, store: ReviewStore, planted: list[Planted]
) -> None:
    one = planted[0]
    while (lease := queues.claim(queue.queue_id, Person("noor"))) is not None:
        if lease.item_id == one.sample.id:
            break
        queues.release(queue.queue_id, lease.item_id, "noor")
    said = seeds.record(decision(one), reviewer="noor", seen_own="")
    assert said.verdict == "reject" and said.queue_id == queue.queue_id
    assert seeds.standing(one.sample.id, "noor") == said
    assert queues.progress(queue.queue_id).num_done == 1
    assert seeds.verdicts(queue.queue_id) == [(one.sample.id, "noor", True)]
    assert list(store.events()) == []


def test_a_verdict_sent_twice_is_stored_once_and_another_under_its_id_refused(
    seeds: Seeds, queue: QueueRow, planted: list[Planted]
) -> None:
    first = decision(planted[0])
    said = seeds.record(first, reviewer="noor", seen_own="")
    assert seeds.record(first, reviewer="noor", seen_own="") == said
    with pytest.raises(EventConflict):
        seeds.record(decision(planted[0], "accept", event_id=first.event_id), reviewer="noor")
    with pytest.raises(AlreadyDecided, match="already decided"):
        seeds.record(decision(planted[0], "accept"), reviewer="noor", seen_own="")
    assert len(seeds.verdicts(queue.queue_id)) == 1


def test_a_later_verdict_replaces_an_earlier_one_and_taking_it_back_restores_it(
    seeds: Seeds, queue: QueueRow, queues: Queues, planted: list[Planted]
) -> None:
    one = planted[0]
    first = seeds.record(decision(one, "accept"), reviewer="noor")
    second = seeds.record(decision(one), reviewer="noor", seen_own=first.event_id)
    assert seeds.verdicts(queue.queue_id) == [(one.sample.id, "noor", True)]
    assert seeds.last_of("noor") == second
    assert not seeds.take_back(second.event_id, "ben")
    assert seeds.take_back(second.event_id, "noor")
    assert seeds.verdicts(queue.queue_id) == [(one.sample.id, "noor", False)]
    assert seeds.take_back(first.event_id, "noor")
    assert queues.progress(queue.queue_id).num_votes == 0


def test_skips_and_flags_decide_nothing_and_an_edit_has_found_it(
    seeds: Seeds, queue: QueueRow, queues: Queues, planted: list[Planted]
) -> None:
    seeds.record(decision(planted[0], None), reviewer="noor")
    flagged = seeds.record(decision(planted[1], None, kind="flag"), reviewer="noor")
    assert flagged.kind == "flag" and seeds.standing(planted[1].sample.id, "noor") is None
    assert queues.progress(queue.queue_id).num_votes == 0
    edit = {"kind": "edit", "verdict": "accept", "edits": {"instruction": "Find another."}}
    seeds.record(decision(planted[2], **edit), reviewer="noor")
    assert seeds.verdicts(queue.queue_id) == [(planted[2].sample.id, "noor", True)]


def test_a_decision_that_does_not_fit_is_refused(
    seeds: Seeds, queue: QueueRow, planted: list[Planted]
) -> None:
    with pytest.raises(DecisionError, match="changed since"):
        seeds.record(decision(planted[0], content_hash="0" * 64), reviewer="noor")
    with pytest.raises(DecisionError, match="not an item"):
        seeds.record(decision(planted[0], sample_id="0" * 24), reviewer="noor")
