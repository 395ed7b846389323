"""Scripted decisions go through the same store: all or none, and never twice."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from curation_app.work.desk import ReviewDesk
from curation_app.work.record import record_decisions
from schemas.errors import RowError
from schemas.review import fold_events, read_events


def write_lines(path: Path, *lines: object) -> Path:
    path.write_bytes(b"\n".join(orjson.dumps(line) for line in lines) + b"\n")
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curation_app", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_commands_record_export_and_count(
    release: Path, dataset: VersionDataset, tmp_path: Path
) -> None:
    with_text = int(np.flatnonzero(dataset.matching(language="he", modality="IT->IT"))[0])
    decisions = write_lines(
        tmp_path / "decisions.jsonl",
        {"sample_id": dataset.sample_id(0), "verdict": "accept"},
        {
            "sample_id": dataset.sample_id(1),
            "verdict": "reject",
            "reasons": ["wrong_language"],
            "note": "planted",
        },
        {"sample_id": dataset.sample_id(with_text), "edits": {"query_text": "בלון כחול"}},
        {"sample_id": dataset.sample_id(3), "verdict": "skip"},
    )
    store, output = tmp_path / "reviews.sqlite", tmp_path / "reviews.jsonl"
    common = ("--store", store, "--dataset", release, "--reviewer", "script:demo")
    for expected in ("0 of them stored before", "4 of them stored before"):
        done = run("record", decisions, *common)
        assert done.returncode == 0, done.stderr
        assert "1 accepted, 1 edited, 1 rejected, 1 skipped" in done.stdout
        assert expected in done.stdout
    done = run("export", "--store", store, "--output", output)
    assert "4 events" in done.stdout
    events = list(read_events(output))
    assert {event.reviewer for event in events} == {"script:demo"}
    assert [event.verdict for event in events] == ["accept", "reject", "accept", None]
    state = fold_events(events)[(dataset.sample_id(with_text), events[2].content_hash)]
    assert state.is_accepted and state.edits is not None
    assert state.edits.query_text == "בלון כחול"
    shown = run("stats", "--store", store, "--dataset", release).stdout
    assert "script:demo" in shown and "wrong_language" in shown and "4 events" in shown


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"sample_id": "f" * 24, "verdict": "accept"}, 'no sample "ffffffff'),
        ({"verdict": "accept"}, "`sample_id`: Field required"),
        ({"sample_id": "0", "verdict": "maybe"}, "`verdict`: Input should be"),
        ({"sample_id": "FIRST"}, "it needs either `verdict` or `edits`"),
        ({"sample_id": "FIRST", "verdict": "reject", "reasons": ["dull"]}, 'no reason "dull"'),
        ({"sample_id": "FIRST", "edits": {"instruction": ""}}, "`edits.instruction`"),
        ({"sample_id": "FIRST", "edits": {"negative_texts": []}}, "cannot be edited like this"),
        ({"sample_id": "FIRST", "edits": {"instruction": " "}}, "`instruction` is blank"),
        ({"sample_id": "FIRST", "edits": {"instruction": "a\x00"}}, "`instruction` contains"),
        ([], "Input should be a valid dictionary"),
    ],
)
def test_one_bad_line_is_named_and_nothing_is_stored(
    dataset: VersionDataset, tmp_path: Path, line: object, problem: str
) -> None:
    first = dataset.sample_id(0)
    if isinstance(line, dict) and line.get("sample_id") == "FIRST":
        line = {**line, "sample_id": first}
    path = write_lines(tmp_path / "d.jsonl", {"sample_id": first, "verdict": "accept"}, line)
    with ReviewStore(tmp_path / "reviews.sqlite") as store:
        with pytest.raises(RowError) as refused:
            record_decisions(path, ReviewDesk(dataset, store), reviewer="script")
        assert problem in str(refused.value)
        assert str(refused.value).startswith("d.jsonl, row 1")
        assert "nothing of the file was stored" in str(refused.value)
        assert store.last_seq == 0


def test_an_error_is_one_line_without_traceback(release: Path, tmp_path: Path) -> None:
    done = run("stats", "--store", tmp_path / "none.sqlite")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    done = run("serve", "--dataset", tmp_path, "--store", tmp_path / "r.sqlite", "--port", 0)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "Name a release directory" in done.stderr
