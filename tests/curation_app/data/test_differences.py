"""Two versions are compared by id, field by field, as a walk over both would."""

from pathlib import Path

import pytest

from curation_app.data.differences import (
    CompareError,
    Differences,
    compare_versions,
    marked_words,
    open_sibling,
    paired_counts,
    sibling_versions,
)
from curation_app.data.query import VersionQuery
from curation_app.data.version import open_dataset
from schemas.sample import Sample
from tests.curation_app.tiny_release import tiny_samples, write_release


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 0.1.0 and 0.2.0 side by side: one row added, two removed, three changed."""
    samples, images = tiny_samples()
    folder = tmp_path_factory.mktemp("releases")
    write_release(folder / "0.1.0", samples[:-1], images, "0.1.0")
    changed = {
        7: {"positive_text": "ein Ballon über dem Dach"},
        12: {"negative_texts": ("کایت",), "query_text": "بادکنک"},
        16: {"relevance": 3},
    }
    newer: list[Sample] = [
        sample.model_copy(update=changed.get(place, {}))
        for place, sample in enumerate(samples)
        if place not in (1, 2)
    ]
    write_release(folder / "0.2.0", newer, images, "0.2.0")
    write_release(folder / "0.10.0", samples[:3], images, "0.10.0")
    (folder / "notes").mkdir()
    (folder / "notes" / "manifest.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def differences(folder: Path) -> Differences:
    old, new = (
        VersionQuery(open_dataset(str(folder / version)), folder / "cache")
        for version in ("0.1.0", "0.2.0")
    )
    return compare_versions(old, new)


def test_rows_are_added_removed_and_changed(differences: Differences) -> None:
    samples, _ = tiny_samples()
    assert differences.total == {"added": 1, "removed": 2, "changed": 3}
    listed = {change.id: change for change in differences.page(limit=100)}
    assert {one.kind for one in listed.values()} == {"added", "removed", "changed"}
    assert listed[samples[-1].id].kind == "added" and listed[samples[1].id].kind == "removed"
    assert listed[samples[12].id].fields == ("query_text", "negative_texts")
    assert differences.by_field == {
        "positive_text": 1,
        "query_text": 1,
        "negative_texts": 1,
        "relevance": 1,
    }
    assert sum(sum(counts.values()) for counts in differences.by_language.values()) == 6


def test_pages_hold_every_difference_once(differences: Differences) -> None:
    ids: list[str] = []
    while page := differences.page(after=ids[-1] if ids else "", limit=2):
        ids += [change.id for change in page]
    assert ids == sorted(ids) == [change.id for change in differences.page(limit=100)]


def test_the_list_narrows_by_kind_and_field(differences: Differences) -> None:
    samples, _ = tiny_samples()
    [change] = differences.page(kind="changed", changed_field="relevance")
    assert change.id == samples[16].id
    [row] = differences.rows(kind="changed", changed_field="relevance")
    assert differences.new.dataset.sample_id(row) == samples[16].id
    assert differences.rows(kind="removed") == []


def test_fields_of_a_row_are_shown_before_and_after(differences: Differences) -> None:
    samples, _ = tiny_samples()
    changes = {one.field: one for one in differences.fields_of(samples[12].id)}
    assert set(changes) == {"query_text", "negative_texts"}
    assert changes["query_text"].after == "بادکنک"
    assert changes["query_text"].before == samples[12].query_text
    added = differences.fields_of(samples[-1].id)
    assert all(change.before == "" for change in added) and added
    assert differences.fields_of(samples[0].id) == differences.fields_of("f" * 24) == []


def test_a_version_does_not_differ_from_itself(folder: Path) -> None:
    query = VersionQuery(open_dataset(str(folder / "0.1.0")), folder / "cache")
    same = compare_versions(query, query)
    assert not same.total and same.page() == []


def test_versions_beside_are_found_by_number(folder: Path) -> None:
    dataset = open_dataset(str(folder / "0.2.0"))
    assert sibling_versions(dataset) == ["0.1.0", "0.10.0"]
    assert open_sibling(dataset, "0.1.0").version == "0.1.0"
    for absent in ("0.3.0", "../0.1.0", "/etc"):
        with pytest.raises(CompareError, match=r"is not beside 0\.2\.0"):
            open_sibling(dataset, absent)


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("a red kite", "a blue kite", [("a ", None), ("red", "-"), ("blue", "+"), (" kite", None)]),
        ("赤い風船", "赤い凧", [("赤い", None), ("風船", "-"), ("凧", "+")]),
        ("same", "same", [("same", None)]),
        ("", "new", [("new", "+")]),
    ],
)
def test_words_that_changed_are_marked(before: str, after: str, marked: list) -> None:
    assert marked_words(before, after) == marked


def test_marks_put_together_give_both_texts() -> None:
    before, after = "aa bb\ncc <b>x</b>", "aa dd cc <i>x</i>"
    marked = marked_words(before, after)
    assert "".join(text for text, sign in marked if sign != "+") == before
    assert "".join(text for text, sign in marked if sign != "-") == after


def test_pairs_are_counted_over_samples_judged_in_both() -> None:
    first = {"a": True, "b": True, "c": False, "d": False, "e": True}
    second = {"a": True, "b": False, "c": True, "d": False, "f": True}
    assert paired_counts(first, second) == (1, 1, 1, 1)
