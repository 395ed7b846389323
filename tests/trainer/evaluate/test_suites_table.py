"""A table of one's own as a suite."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.evaluate.benchmark_files import (
    COLOURS,
    ColourEncoder,
    ConstantEncoder,
    write_parquet,
    write_pictures,
)
from trainer.config import EvaluateConfig
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.report import sentences
from trainer.evaluate.suites import evaluate_suite
from trainer.evaluate.suites.files import SuiteError

CONFIG = EvaluateConfig(num_resamples=50)

GLOBAL: list[dict[str, Any]] = [
    {"query": f"a {name} wall", "positive": {"image": f"{name}.png"}, "language": language}
    for name in COLOURS
    for language in ("en", "de")
]
LISTED: list[dict[str, Any]] = [
    {
        "query": {"instruction": "Answer.", "text": "Which colour?", "image": f"{name}.png"},
        "positive": name,
        "candidates": [other for other in COLOURS if other != name],
        "task": "vqa",
    }
    for name in COLOURS
]


def write_lines(folder: Path, rows: list[Any], name: str = "mine.jsonl") -> str:
    folder.mkdir(exist_ok=True)
    write_pictures(folder)
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def measure(file: str, data: str = "", encoder: ColourEncoder | None = None) -> dict[str, Any]:
    return evaluate_suite(encoder or ColourEncoder(), file, data, CONFIG)


def test_without_candidates_every_document_of_the_table_is_one(tmp_path: Path) -> None:
    report = measure(write_lines(tmp_path, GLOBAL))
    section = report["sections"]["table"]
    assert section["title"] == "mine.jsonl, 6 documents"
    assert section["k"] == 3  # of 6 documents; 10 would be a figure by construction
    assert section["mean"]["recall_at_1"] == 1.0
    assert set(section["per_language"]) == {"de", "en"}
    assert section["mean"]["mean_over"] == "language"
    assert "per_task" not in section
    assert list(sentences(report))
    assert (
        measure(write_lines(tmp_path, GLOBAL), encoder=ConstantEncoder())["sections"]["table"][
            "mean"
        ]["recall_at_k"]
        == 0.0
    )


def test_candidates_of_a_row_are_its_own_list(tmp_path: Path) -> None:
    report = measure(write_lines(tmp_path, LISTED))
    section = report["sections"]["table"]
    assert section["mean"]["recall_at_1"] == 1.0
    assert set(section["per_task"]) == {"vqa"} and "per_language" not in section
    wrong = [
        dict(row, positive=row["candidates"][0], candidates=[row["positive"], "grey"])
        for row in LISTED
    ]
    report = measure(write_lines(tmp_path, wrong))
    assert report["sections"]["table"]["mean"]["recall_at_1"] == 0.0


def test_both_kinds_of_rows_may_stand_in_one_table(tmp_path: Path) -> None:
    report = measure(write_lines(tmp_path, GLOBAL + LISTED))
    section = report["sections"]["table"]
    assert section["num_queries"] == 18
    assert set(section["per_language"]) == {"de", "en", "unsaid"}
    # Documents are now pictures and answers: 12 for the rows without a list.
    assert section["per_task"]["vqa"]["k"] == 3 and section["per_task"]["unsaid"]["k"] == 5


def test_rows_with_one_query_are_one_question_with_several_right_answers(tmp_path: Path) -> None:
    rows = [
        {"query": "red or green", "positive": [{"image": "red.png"}, {"image": "green.png"}]},
        {"query": "red or green", "positive": {"image": "yellow.png"}},
        *({"query": f"a {name} wall", "positive": {"image": f"{name}.png"}} for name in COLOURS),
    ]
    report = measure(write_lines(tmp_path, rows))
    assert report["sections"]["table"]["num_queries"] == 7
    assert report["sections"]["table"]["mean"]["recall_at_1"] == 1.0


def test_parquet_with_structs_gives_the_same_as_json_lines(tmp_path: Path) -> None:
    lines = measure(write_lines(tmp_path, LISTED, "rows.jsonl"))
    file = write_parquet(tmp_path / "rows.parquet", LISTED)
    parquet = measure(str(file))
    for report in (lines, parquet):
        report["sections"]["table"].pop("title")
        report.pop("data")
    assert parquet == lines


def test_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures" / "images")
    (tmp_path / "table").mkdir()
    file = tmp_path / "table" / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in GLOBAL))
    with pytest.raises(NothingToMeasureError, match=r"mine\.jsonl: .*picture not there"):
        measure(str(file))
    report = measure(str(file), str(tmp_path / "pictures"))
    assert report["sections"]["table"]["mean"]["recall_at_1"] == 1.0
    with pytest.raises(SuiteError, match="no such directory"):
        measure(str(file), str(tmp_path / "absent"))


def test_hostile_texts_and_paths_are_data(tmp_path: Path) -> None:
    rows = [
        *GLOBAL,
        {"query": "secret", "positive": {"image": "../../etc/passwd"}},
        {"query": "__import__('os').system('id')", "positive": {"image": "red.png"}},
        {"query": "<|image_1|> a red wall", "positive": {"image": "red.png"}, "language": "fr"},
    ]
    encoder = ColourEncoder()
    report = measure(write_lines(tmp_path, rows), encoder=encoder)
    assert report["left_out"] == {"path outside the benchmark's folder": 1}
    assert "'../../etc/passwd'" in report["notes"][0]
    assert not any("image_1" in (item.text or "") for item in encoder.seen)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 is not an object"),
        ("[" * 100_000, "line 2 is not JSON"),
        ('{"positive": "a"}', "row 2: `query` has no text and no object"),
        ('{"query": "a"}', "row 2: `positive` is empty"),
        ('{"query": "a", "positive": []}', "row 2: `positive` is empty"),
        ('{"query": "", "positive": "b"}', "row 2: `query` is empty"),
        ('{"query": {"txt": "a"}, "positive": "b"}', "row 2: `query` has a part 'txt'"),
        ('{"query": {"text": 5}, "positive": "b"}', "row 2: `text` of `query` is not a text"),
        ('{"query": "a", "positive": 7}', "row 2: `positive` has no text and no object"),
        ('{"query": "a", "positive": "b", "language": 5}', "row 2: `language` is not a short text"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{json.dumps({'query': 'a', 'positive': 'b'})}\n{line}\n")
    with pytest.raises(SuiteError) as caught:
        measure(str(path))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no such suite and no such file.*mmeb, xtd"):
        measure("mmebb")
    (tmp_path / "table.csv").write_text("query,positive\na,b\n")
    with pytest.raises(SuiteError, match=r"neither \.jsonl nor \.parquet"):
        measure(str(tmp_path / "table.csv"))
    write_parquet(tmp_path / "t.parquet", [{"query": "a", "answer": "b"}])
    with pytest.raises(SuiteError, match="no column positive"):
        measure(str(tmp_path / "t.parquet"))
    with pytest.raises(NothingToMeasureError, match="single candidate"):
        measure(write_lines(tmp_path, [{"query": "a", "positive": "b"}]))
    with pytest.raises(NothingToMeasureError, match="no questions"):
        measure(write_lines(tmp_path, []))
