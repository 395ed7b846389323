"""Questions about a workspace are answered by SQL views, and can change or read nothing else."""

import json
import time
from io import BytesIO
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from builder.commands import sql as command
from builder.ledger.ledger import Ledger, LedgerError
from builder.questions.ask import ask, first_rows, question_limits, write_answer
from builder.questions.database import open_database
from builder.workspace import Workspace
from schemas.sandbox import SqlError
from tests.release.small_workspace import kept_samples, review, save_reviews, small_workspace

LIMITS = question_limits(5.0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = small_workspace(tmp_path_factory.mktemp("questions") / "w")
    first, second = kept_samples(workspace)[:2]
    save_reviews(
        workspace, [review(first, 1, verdict="accept"), review(second, 2, verdict="reject")]
    )
    return workspace


@pytest.fixture(scope="module")
def database(workspace: Workspace) -> Path:
    return open_database(workspace)


def _rows(database: Path, sql: str) -> list[list[str]]:
    with ask(database, sql, LIMITS) as answer:
        return first_rows(answer, 1_000)[0]


def test_every_view_answers(database: Path, workspace: Workspace) -> None:
    counts = _rows(
        database,
        "SELECT (SELECT count(*) FROM samples), (SELECT count(*) FROM dropped), "
        "(SELECT count(*) FROM provenance), (SELECT count(*) FROM votes), "
        "(SELECT count(*) FROM images), (SELECT count(*) FROM reviews)",
    )
    assert counts == [["60", "3", "60", "60", "40", "2"]]
    joined = _rows(
        database,
        "SELECT id FROM samples JOIN reviews ON sample_id = id WHERE verdict = 'reject'",
    )
    assert joined == [[kept_samples(workspace)[1].id]]
    used = _rows(database, "SELECT sum(samples) > 0, min(samples) >= 0 FROM images")
    assert used == [["True", "True"]]


@pytest.mark.parametrize(
    "attack",
    [
        "DROP VIEW samples",
        "COPY (SELECT 1) TO 'leak.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "",
    ],
)
def test_nothing_but_the_views_is_in_reach(database: Path, attack: str) -> None:
    before = sorted(path.name for path in database.parent.iterdir())
    with pytest.raises(SqlError) as caught, ask(database, attack, LIMITS) as answer:
        first_rows(answer, 1)
    assert str(database.parent) not in str(caught.value)
    assert sorted(path.name for path in database.parent.iterdir()) == before


def test_a_question_without_end_is_ended_also_in_the_middle_of_its_answer(database: Path) -> None:
    begin = time.monotonic()
    endless = "SELECT a.range AS n FROM range(100000000) a, range(100000000) b"
    with (
        pytest.raises(SqlError, match=r"more than 1 s\. Narrow it down"),
        ask(database, endless, question_limits(1.0)) as answer,
    ):
        for _ in answer.batches:
            pass
    assert time.monotonic() - begin < 25


def test_answers_are_whole_in_every_format(database: Path, workspace: Workspace) -> None:
    sql = "SELECT id, relevance, negative_texts FROM samples ORDER BY id"
    written = {}
    for form in ("csv", "json", "parquet"):
        out = BytesIO()
        with ask(database, sql, LIMITS) as answer:
            assert write_answer(answer, form, out) == 60
        written[form] = out
    ids = sorted(sample.id for sample in kept_samples(workspace))
    rows = [orjson.loads(line) for line in written["json"].getvalue().splitlines()]
    assert [row["id"] for row in rows] == ids and isinstance(rows[0]["negative_texts"], list)
    assert pq.read_table(written["parquet"])["relevance"].to_pylist() == [
        row["relevance"] for row in rows
    ]
    lines = written["csv"].getvalue().decode().splitlines()
    assert lines[0] == "id,relevance,negative_texts" and len(lines) == 61


def test_the_database_follows_the_ledger(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path / "w", num_rows=8)
    path = open_database(workspace)
    made = path.stat().st_mtime_ns
    assert open_database(workspace).stat().st_mtime_ns == made
    with Ledger(workspace.ledger_path) as ledger:
        ledger.drop({"job-0-0": "answer_leak"})
    assert _rows(open_database(workspace), "SELECT count(*) FROM samples") == [["7"]]
    path.write_bytes(b"half a file")
    assert _rows(open_database(workspace), "SELECT count(*) FROM samples") == [["7"]]
    with Ledger(workspace.ledger_path) as ledger:
        ledger.db.execute("UPDATE outcome SET sample = ? WHERE job_id = 'job-0-1'", (b'{"id": 3',))
    with pytest.raises(LedgerError, match=r"a sample .* Run `python -m builder reparse`"):
        open_database(workspace)
    assert not list(tmp_path.glob("w/*.part*"))


def test_the_command_prints_and_writes(workspace: Workspace, tmp_path: Path) -> None:
    app = typer.Typer()
    command.register(app)
    ask_for = ["SELECT language, count(*) AS n FROM samples GROUP BY 1", "-w", str(workspace.root)]
    printed = CliRunner().invoke(app, ask_for)
    assert printed.exit_code == 0 and "language" in printed.stdout
    rows = CliRunner().invoke(app, [*ask_for, "-f", "json"])
    assert sum(json.loads(line)["n"] for line in rows.stdout.splitlines()) == 60
    file = tmp_path / "out.parquet"
    CliRunner().invoke(app, [*ask_for, "-f", "parquet", "-o", str(file)])
    assert sum(pq.read_table(file)["n"].to_pylist()) == 60
    assert CliRunner().invoke(app, [*ask_for, "-f", "parquet"]).exit_code == 2
