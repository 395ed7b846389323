"""What the search and compare pages show to whom: scores, status and SQL are a lead's."""

from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio", reason="the pages need the extra `app`")

from curation_app.data.query import RowFilter, Sort  # noqa: E402
from curation_app.pages.search import PAGE_ROWS, Result, SearchPage  # noqa: E402
from curation_app.pages.search_acts import result_rows  # noqa: E402
from curation_app.store import ReviewStore  # noqa: E402
from curation_app.work.bulk import BulkError, decide_all  # noqa: E402
from curation_app.work.people import Person  # noqa: E402
from curation_app.work.workbench import Workbench, open_workbench  # noqa: E402

LEAD, REVIEWER = Person("lead-1", "lead"), Person("reviewer-1")
REQUEST: Any = None  # the pages only hand it on to `who`


@pytest.fixture(scope="module")
def bench(release: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("bench")
    with ReviewStore(folder / "reviews.sqlite") as store:
        yield open_workbench(str(release), store, folder / "cache")


def shown(bench: Workbench, person: Person | None, result: Result) -> list[Any]:
    return SearchPage(bench, lambda request: person)._show(result, REQUEST)


def test_a_reviewer_sees_texts_and_no_scores_or_status(bench: Workbench) -> None:
    _, summary, table, cards, *_ = shown(bench, REVIEWER, Result())
    assert summary == "32 samples"
    assert not {"status", "lowest score", "alignment"} & set(table["headers"])
    assert {len(row) for row in table["data"]} == {len(table["headers"])}
    assert set(cards[0]) == {"id", "language", "task_type", "modality", "texts", "pictures"}


@pytest.mark.parametrize(
    "result",
    [
        Result(RowFilter(marks=("rejected",))),
        Result(RowFilter(max_lowest_score=2)),
        Result(sort=Sort("lowest_score")),
        Result(sort=Sort("alignment")),
    ],
)
def test_a_reviewer_cannot_search_by_what_would_unblind(bench: Workbench, result: Result) -> None:
    assert "Only a lead may search by score or status" in shown(bench, REVIEWER, result)[1]
    assert "sample" in shown(bench, LEAD, result)[1]


def test_nobody_is_shown_nothing(bench: Workbench) -> None:
    assert "Sign in" in shown(bench, None, Result())[1]


def test_a_lead_sees_where_the_review_stands(bench: Workbench) -> None:
    decide_all(
        bench.desk, LEAD, [5], verdict="reject", note="wrong", batch_id="batch-0001", expected=1
    )
    _, summary, table, *_ = shown(bench, LEAD, Result(RowFilter(marks=("rejected",))))
    [row] = table["data"]
    assert summary == "1 sample"
    assert dict(zip(table["headers"], row, strict=True))["status"] == "rejected"


def test_pages_go_on_and_back(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation_app.pages.search.PAGE_ROWS", 10)
    page = SearchPage(bench, lambda request: LEAD)
    held, summary, first, *_ = page._show(Result(), REQUEST)
    assert summary == "32 samples; 1 to 10 shown"
    ids = [row[0] for row in first["data"]]
    for start in (11, 21, 31):
        held, summary, table, *_ = page._next(held, REQUEST)
        assert f"{start} to " in summary
        ids += [row[0] for row in table["data"]]
    assert len(ids) == len(set(ids)) == 32
    assert page._next(held, REQUEST)[2] == table
    for _ in range(4):
        held, summary, table, *_ = page._previous(held, REQUEST)
    assert table == first and PAGE_ROWS == 50


def test_more_rows_than_a_queue_takes_are_refused(bench: Workbench) -> None:
    assert len(result_rows(bench, Result(), 32)) == 32
    with pytest.raises(BulkError, match="more than 31 samples"):
        result_rows(bench, Result(), 31)


def test_a_text_that_cannot_be_searched_for_is_said_in_the_result(bench: Workbench) -> None:
    assert "unpaired surrogate" in shown(bench, LEAD, Result(RowFilter(text="\ud800")))[1]
