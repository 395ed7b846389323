"""The SQL console answers questions and can do nothing else."""

import time
from pathlib import Path

import numpy as np
import pytest

from curation_app.data.query import VersionQuery
from curation_app.data.sandbox import SqlConsole, SqlError, SqlLimits
from curation_app.data.version import VersionDataset

LIMITS = SqlLimits(timeout_s=2.0, max_rows=20)


@pytest.fixture(scope="module")
def console(dataset: VersionDataset, tmp_path_factory: pytest.TempPathFactory) -> SqlConsole:
    cache = tmp_path_factory.mktemp("index")
    return SqlConsole(VersionQuery(dataset, cache).index_path, limits=LIMITS)


def test_a_query_gives_its_columns_and_rows_as_text(console: SqlConsole) -> None:
    result = console.run("SELECT language, count(*) AS n FROM rows GROUP BY 1 ORDER BY 1 LIMIT 2")
    assert result.columns == ["language", "n"]
    assert result.rows == [["ar", "6"], ["de", "1"]]
    assert not result.is_cut and result.ids() is None


def test_more_rows_than_are_shown_are_said_to_be_there(console: SqlConsole) -> None:
    result = console.run("SELECT id FROM rows ORDER BY row")
    assert len(result.rows) == 20 and result.is_cut
    ids = result.ids()
    assert ids is not None and len(ids) == 20


def test_the_state_of_the_review_can_be_joined(
    console: SqlConsole, dataset: VersionDataset
) -> None:
    rejected = np.zeros(len(dataset), dtype=bool)
    rejected[3] = True
    result = console.run(
        "SELECT id FROM rows JOIN reviews USING (row) WHERE status = 'rejected'",
        marks={"rejected": rejected, "unreviewed": ~rejected},
    )
    assert result.rows == [[dataset.sample_id(3)]]


ATTACKS = {
    "copy": "COPY rows TO '{out}'",
    "copy in an expression": "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT 1",
    "copy beside the index": "COPY rows TO 'leak.csv'",
    "export": "EXPORT DATABASE '{out}'",
    "attach": "ATTACH '{out}' AS other",
    "attach in memory": "ATTACH ':memory:' AS other",
    "read a csv file": "SELECT * FROM read_csv('/etc/passwd')",
    "read any file": "SELECT * FROM read_text('/etc/passwd')",
    "a file as a table": "FROM '/etc/passwd'",
    "list files": "SELECT * FROM glob('/etc/*')",
    "install": "INSTALL httpfs",
    "load a file": "LOAD '/tmp/x.duckdb_extension'",
    "fetch": "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "a setting": "SET enable_external_access = true",
    "a setting back": "RESET memory_limit",
    "a pragma": "PRAGMA enable_profiling = 'json'",
    "import": "IMPORT DATABASE '/tmp'",
    "insert": "INSERT INTO rows SELECT * FROM rows",
    "update": "UPDATE rows SET language = 'xx'",
    "delete": "DELETE FROM rows",
    "drop": "DROP TABLE rows",
    "create": "CREATE TABLE version.mine AS SELECT 1",
    "two statements": "SELECT 1; SELECT 2",
    "environment": "SELECT getenv('HOME')",
    "a secret": "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "no SQL": "'; DROP TABLE rows; --",
    "half a character": "SELECT '\\ud800",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_attacks_are_refused_and_leave_nothing(
    console: SqlConsole, attack: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    folder = set(console.index.parent.iterdir()) if console.index else set()
    try:
        result = console.run(attack.format(out=out))
    except SqlError as exc:
        assert str(tmp_path) not in str(exc).replace(str(out), "")
    else:
        assert attack.startswith("ATTACH ':memory:'"), result
    assert not out.exists() and list(tmp_path.iterdir()) == []
    assert (set(console.index.parent.iterdir()) if console.index else set()) == folder
    assert console.run("SELECT count(*) FROM rows").rows == [["32"]]


def test_one_query_leaves_nothing_to_the_next(console: SqlConsole) -> None:
    console.run("CREATE TABLE memory.main.mine AS SELECT 1")
    with pytest.raises(SqlError, match="mine"):
        console.run("SELECT * FROM memory.main.mine")


def test_nothing_of_the_machine_is_shown(console: SqlConsole) -> None:
    shown = console.run("SELECT * FROM duckdb_databases()").rows
    shown += console.run("SELECT current_setting('secret_directory')").rows
    assert console.index is not None
    assert str(console.index.parent) not in str(shown) and str(Path.home()) not in str(shown)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM rows a, rows b, rows c, rows d, rows e, rows f, rows g",
        "SELECT sum(sin(a.range * b.range)) FROM range(10000000) a, range(10000000) b",
    ],
)
def test_a_query_without_end_is_ended(console: SqlConsole, query: str) -> None:
    begin = time.monotonic()
    with pytest.raises(SqlError, match=r"more than 2 s\. Narrow"):
        console.run(query)
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize(
    "query",
    [
        "SELECT length(repeat('x', 3000000000::BIGINT))",
        "SELECT list(a.range) FROM range(100000000) a, range(100) b",
        "SELECT string_agg(repeat('x', 1000000), '') FROM range(100000)",
        "SELECT lpad('x', 1900000000, 'y') FROM range(10)",
    ],
)
def test_a_query_that_takes_all_memory_fails_alone(console: SqlConsole, query: str) -> None:
    with pytest.raises(SqlError, match=r"(needs more memory than 512MB|more than 2 s)\. Narrow"):
        console.run(query)
    assert console.run("SELECT 1 AS one").rows == [["1"]]


def test_a_long_value_is_cut(console: SqlConsole) -> None:
    [[value]] = console.run("SELECT repeat('x', 5000)").rows
    assert len(value) == 2_001 and value.endswith("…")


def test_without_a_file_the_console_says_what_to_do() -> None:
    with pytest.raises(SqlError, match="Start the app with a cache folder"):
        SqlConsole(None).run("SELECT 1")
