"""A version is searched in any language, page by page, as a walk over all its rows would."""

import os
from pathlib import Path

import numpy as np
import pytest

from curation_app.data.query import Cursor, QueryError, RowFilter, Sort, VersionQuery
from curation_app.data.version import DatasetError, VersionDataset, open_dataset
from tests.curation_app.conftest import HOSTILE
from tests.curation_app.tiny_release import tiny_samples, write_release


@pytest.fixture(scope="module")
def query(dataset: VersionDataset, tmp_path_factory: pytest.TempPathFactory) -> VersionQuery:
    return VersionQuery(dataset, tmp_path_factory.mktemp("index"))


def walked(query: VersionQuery, wanted: RowFilter, sort: Sort, limit: int = 7) -> list[int]:
    """Row numbers of all pages, one after the other."""
    rows: list[int] = []
    after: Cursor | None = None
    while True:
        page = query.page(wanted, sort=sort, after=after, limit=limit)
        rows += [row.row for row in page.rows]
        after = page.next
        if after is None:
            return rows


def test_rows_are_those_of_the_version_in_its_order(
    query: VersionQuery, dataset: VersionDataset
) -> None:
    page = query.page(RowFilter(), limit=1_000)
    assert [row.row for row in page.rows] == list(range(len(dataset))) and page.next is None
    for row in page.rows:
        sample = dataset.load(row.row).sample
        assert (row.id, row.query_text, row.query_image) == (
            sample.id,
            sample.query_text,
            sample.query_image,
        )
        assert tuple(row.negative_texts) == sample.negative_texts
        assert tuple(row.negative_images) == sample.negative_images
        assert {sha256 for _, sha256 in row.pictures} == set(sample.images)


@pytest.mark.parametrize("key", ["id", "language", "lowest_score", "alignment", "text_length"])
@pytest.mark.parametrize("is_descending", [False, True])
def test_pages_hold_every_row_once_in_order(query: VersionQuery, key, is_descending: bool) -> None:
    sort = Sort(key, is_descending)
    rows = walked(query, RowFilter(), sort)
    assert sorted(rows) == list(range(len(query.dataset)))
    assert rows == [row.row for row in query.page(RowFilter(), sort=sort, limit=99).rows]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("بالون", "ar"),
        ("风船", None),
        ("風船", "ja"),
        ("गुब्बारा", "hi"),
        ("בלון", "he"),
        ("RED Balloon", "en"),
        ("ｒｅｄ ｂａｌｌｏｏｎ", "en"),
    ],
)
def test_text_is_found_in_any_script_whatever_its_case_and_width(
    query: VersionQuery, text: str, language: str | None
) -> None:
    found = query.page(RowFilter(text=text), limit=99).rows
    assert {row.language for row in found} == ({language} if language else set())
    assert query.count(RowFilter(text=text)) == len(found)


def test_composed_and_decomposed_letters_are_the_same(tmp_path: Path) -> None:
    samples, images = tiny_samples()
    sample = samples[1].model_copy(update={"positive_text": "cafe\u0301"})
    dataset = open_dataset(str(write_release(tmp_path / "r", [sample], images)))
    query = VersionQuery(dataset, tmp_path / "index")
    assert query.count(RowFilter(text="CAFÉ")) == 1


@pytest.mark.parametrize("text", ["می\u200cخواهم", "میخواهم", "a\u202eEVIL b"])
def test_invisible_characters_do_not_count(query: VersionQuery, text: str) -> None:
    [row] = query.page(RowFilter(text=text)).rows
    assert row.positive_text == HOSTILE[1]


def test_a_text_of_invisible_characters_is_no_filter(query: VersionQuery) -> None:
    assert query.count(RowFilter(text=" \u200b ")) == len(query.dataset)


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", "' OR 1=1 --", "$text", "a%b"])
def test_signs_of_sql_are_only_text(query: VersionQuery, text: str) -> None:
    texts = [
        "\n".join(filter(None, (row.query_text, row.positive_text, *row.negative_texts)))
        for row in query.page(RowFilter(), limit=99).rows
    ]
    expected = sum(text.lower() in found.lower() for found in texts)
    assert query.count(RowFilter(text=text)) == expected


def test_markup_is_found_as_the_text_it_is(query: VersionQuery) -> None:
    [row] = query.page(RowFilter(text="<IMG SRC=x onerror")).rows
    assert row.query_text == HOSTILE[0]
    assert query.count(RowFilter(text="<b>bold", text_in="instruction")) == 1
    assert query.count(RowFilter(text="<b>bold")) == 0


def test_filters_narrow_together(query: VersionQuery, dataset: VersionDataset) -> None:
    wanted = RowFilter(languages=("ar", "he"), task_types=("vqa",))
    expected = dataset.matching(language="ar", task_type="vqa")
    expected |= dataset.matching(language="he", task_type="vqa")
    assert query.rows(wanted) == np.flatnonzero(expected).tolist()
    assert (
        query.rows(RowFilter(modalities=("I->I",)), limit=2)
        == query.rows(RowFilter(modalities=("I->I",)))[:2]
    )
    assert query.count(RowFilter(max_lowest_score=2)) == 0
    assert query.count(RowFilter(max_lowest_score=3)) == len(dataset)
    assert query.count(RowFilter(rows=(3, 5, 10**6))) == 2
    assert query.count(RowFilter(rows=())) == 0


def test_review_marks_are_of_the_time_of_the_call(
    query: VersionQuery, dataset: VersionDataset
) -> None:
    rejected = np.zeros(len(dataset), dtype=bool)
    rejected[[2, 9]] = True
    marks = {"rejected": rejected, "unreviewed": ~rejected}
    assert query.rows(RowFilter(marks=("rejected",)), marks=marks) == [2, 9]
    assert query.count(RowFilter(marks=("unreviewed",)), marks=marks) == len(dataset) - 2
    rejected[3] = True
    assert query.rows(RowFilter(marks=("rejected",)), marks=marks) == [2, 3, 9]
    assert query.rows(RowFilter(marks=("rejected",), rows=(3, 4)), marks=marks) == [3]
    with pytest.raises(QueryError, match="no review mark weird"):
        query.rows(RowFilter(marks=("weird",)), marks=marks)


def test_counts_by_columns_add_up(query: VersionQuery, dataset: VersionDataset) -> None:
    counted = query.counts_by("language", "task_type")
    assert sum(number for *_, number in counted) == len(dataset)
    assert ("ar", "vqa", 1) in counted
    assert query.values("split") == ["train"] and query.values("licences") == []
    with pytest.raises(ValueError, match="columns to count by: 1; DROP"):
        query.counts_by("1; DROP TABLE rows")


def test_a_text_that_cannot_be_searched_for_is_said_to_be(query: VersionQuery) -> None:
    with pytest.raises(QueryError, match="at most 500"):
        query.count(RowFilter(text="x" * 501))
    with pytest.raises(QueryError, match="unpaired surrogate"):
        query.count(RowFilter(text="\ud800"))


def test_the_index_is_made_once_and_left_whole(dataset: VersionDataset, tmp_path: Path) -> None:
    first = VersionQuery(dataset, tmp_path).index_path
    assert first is not None
    before = first.stat().st_ino
    assert VersionQuery(dataset, tmp_path).index_path == first
    assert first.stat().st_ino == before
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_indexes_of_long_ago_are_removed(dataset: VersionDataset, tmp_path: Path) -> None:
    others = [tmp_path / f"{number:032x}.duckdb" for number in range(20)]
    left = tmp_path / ".0.duckdb.1.part"
    for age, path in enumerate([*others, left]):
        path.write_bytes(b"")
        os.utime(path, (1_000 - age, 1_000 - age))
    (tmp_path / "notes.txt").write_text("somebody else's")
    own = VersionQuery(dataset, tmp_path).index_path
    kept = {path for path in tmp_path.iterdir() if path.suffix == ".duckdb"}
    assert kept == {own, *others[:11]} and (tmp_path / "notes.txt").exists()
    assert not left.exists()


def test_another_version_has_another_index(dataset: VersionDataset, tmp_path: Path) -> None:
    samples, images = tiny_samples()
    other = open_dataset(str(write_release(tmp_path / "r", samples, images, "0.2.0")))
    cache = tmp_path / "cache"
    assert VersionQuery(dataset, cache).index_path != VersionQuery(other, cache).index_path


def test_an_index_that_is_no_database_is_made_again(
    dataset: VersionDataset, tmp_path: Path
) -> None:
    path = VersionQuery(dataset, tmp_path / "a").index_path
    assert path is not None
    broken = tmp_path / "b" / path.name
    broken.parent.mkdir()
    broken.write_bytes(b"cut off")
    query = VersionQuery(dataset, broken.parent)
    assert query.count(RowFilter()) == len(dataset) and query.index_path == broken


def test_a_folder_that_cannot_be_written_costs_only_time(
    dataset: VersionDataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    query = VersionQuery(dataset, tmp_path / "file" / "cache")
    assert query.index_path is None
    assert query.count(RowFilter(text="بالون")) == query.count(RowFilter(languages=("ar",))) - 1
    if os.geteuid():
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        assert VersionQuery(dataset, closed).index_path is None


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    samples, images = tiny_samples()
    release = write_release(tmp_path / "r", samples, images)
    dataset = open_dataset(str(release))
    shard = release / "data" / "VQA" / "train-0.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DatasetError, match=r"VQA/train-0\.parquet: damaged"):
        VersionQuery(dataset, tmp_path / "cache").prepare()
