"""Rows that a model suspects come first, once, for everybody, until they are decided."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from curation_app.data.version import open_dataset
from curation_app.store import ReviewStore
from curation_app.work.decisions import Decision
from curation_app.work.desk import SHOWN_EARLY, Filters, ReviewDesk
from curation_app.work.people import Person
from schemas.row_scores import ROW_SCORES_NAME, RowScoresError, write_row_scores
from tests.curation_app.tiny_release import tiny_samples, write_release

#: Row numbers in the order in which they are to be looked at.
SUSPECTED = (20, 3, 11)
ADA, BOB = Person("ada"), Person("bob")


def write_scores(directory: Path, ids: list[str]) -> None:
    rank = {ids[row]: place for place, row in enumerate(SUSPECTED)}
    scored = ids[:-1]  # the last one could not be scored
    columns = {
        "id": [*scored, "f" * 24],  # a row that a reviewer has rejected since
        "alignment": [0.5] * (len(scored) + 1),
        "margin": [None] * (len(scored) + 1),
        "negative_match": [None] * (len(scored) + 1),
        "picture_rank": [1] * (len(scored) + 1),
        "num_ranked": [9] * (len(scored) + 1),
        "suspected": ["positive" if i in rank else None for i in scored] + ["negative"],
        "review_rank": [rank.get(i) for i in scored] + [len(rank)],
    }
    write_row_scores(directory, pa.table(columns))


def desk_of(directory: Path, store: ReviewStore) -> ReviewDesk:
    now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    return ReviewDesk(open_dataset(str(directory)), store, clock=lambda: now)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_release(tmp_path / "0.1.0", *tiny_samples())


@pytest.fixture
def desk(directory: Path, tmp_path: Path) -> Iterator[ReviewDesk]:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        plain = desk_of(directory, store)
        write_scores(directory, [plain.dataset.sample_id(row) for row in range(30)])
        yield desk_of(directory, store)


def go_through(desk: ReviewDesk, person: Person, filters: Filters, num: int) -> list[int]:
    """Row after row as the page asks for them, each accepted."""
    rows: list[int] = []
    sample_id = None
    for _ in range(num):
        row, lease = desk.find(person, filters, sample_id=sample_id)
        assert row is not None and lease is not None
        rows.append(row)
        loaded = desk.dataset.load(row)
        sample_id = loaded.sample.id
        act = {
            "event_id": f"event-{person.name}-{row:06d}",
            "sample_id": sample_id,
            "content_hash": loaded.content_hash,
            "kind": "verdict",
            "verdict": "accept",
        }
        desk.decide(person.name, Decision.model_validate(act))
    return rows


def test_suspects_come_first_and_then_the_others_by_id(desk: ReviewDesk) -> None:
    assert go_through(desk, ADA, Filters(), 8) == [20, 3, 11, 0, 1, 2, 4, 5]


def test_the_order_can_be_switched_off(desk: ReviewDesk) -> None:
    assert go_through(desk, ADA, Filters(order="by_id"), 4) == [0, 1, 2, 3]


def test_reviewers_share_the_suspects_out(desk: ReviewDesk) -> None:
    assert [desk.find(person, Filters())[0] for person in (ADA, BOB)] == [20, 3]


def test_filters_hold_among_suspects(desk: ReviewDesk) -> None:
    language = desk.dataset.value("language", 3)
    same = [row for row in SUSPECTED if desk.dataset.value("language", row) == language]
    assert go_through(desk, ADA, Filters(language=language), 1) == same[:1]


def test_the_way_back_is_through_the_suspects(desk: ReviewDesk) -> None:
    third = desk.dataset.sample_id(SUSPECTED[2])
    assert desk.find(BOB, Filters(), sample_id=third, step="previous")[0] == SUSPECTED[1]


def test_what_was_decided_is_listed_by_id(desk: ReviewDesk) -> None:
    go_through(desk, ADA, Filters(), 4)
    assert desk.find(ADA, Filters(status="accepted"))[0] == 0


def test_a_card_says_that_it_comes_early_but_not_what_may_be_wrong(desk: ReviewDesk) -> None:
    def shown(row: int, filters: Filters) -> dict[str, object]:
        return desk.view(ADA, filters, row)

    assert shown(20, Filters())["shown_early"] == SHOWN_EARLY
    assert shown(0, Filters())["shown_early"] is None
    assert shown(20, Filters(order="by_id"))["shown_early"] is None
    assert not {"positive", "negative", "text", "image"} & set(SHOWN_EARLY.lower().split())
    assert desk.overview(ADA)["num_suspects"] == len(SUSPECTED)
    upcoming = shown(20, Filters())["upcoming"]
    assert upcoming == desk.cards.image_addresses(desk.dataset.sample_id(3), "ada", None) + (
        desk.cards.image_addresses(desk.dataset.sample_id(11), "ada", None)
    )


def test_a_version_without_scores_is_gone_through_by_id(directory: Path, tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        desk = desk_of(directory, store)
        assert desk.overview(ADA)["num_suspects"] == 0
        assert go_through(desk, ADA, Filters(), 3) == [0, 1, 2]


def test_a_damaged_file_of_scores_is_named(directory: Path, tmp_path: Path) -> None:
    (directory / ROW_SCORES_NAME).write_bytes(b"PAR1 no more")
    with (
        ReviewStore(tmp_path / "reviews.sqlite") as store,
        pytest.raises(RowScoresError, match=r"scores\.parquet: not a readable file of scores"),
    ):
        desk_of(directory, store)
