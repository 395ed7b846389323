"""Runs one SQL query on a DuckDB file, shut off from everything else.

Checking what a statement is does not help (`WITH x AS (COPY … TO 'file')` parses as a SELECT
and writes a file), so nothing is checked: the query runs in a process of its own in which
files, network, extensions and settings are out of reach, with bounds on time and memory.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from schemas.errors import PolysceneError

_log = logging.getLogger(__name__)

_WORKER = Path(__file__).with_name("worker.py")
_MAX_SQL_CHARS = 20_000
_START_ALLOWANCE_S = 10.0


class SqlError(PolysceneError):
    """A query cannot be run, failed, or took too much."""


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """What one query may take.

    Args:
        timeout_s: Until it is interrupted.
        max_rows: Rows that come back.
        memory_limit: DuckDB's own bound, as it writes it.
        max_process_bytes: Address space of the query's process.
    """

    timeout_s: float = 10.0
    max_rows: int = 1_000
    max_columns: int = 60
    max_cell_chars: int = 2_000
    max_chars: int = 4_000_000
    memory_limit: str = "512MB"
    num_threads: int = 2
    max_process_bytes: int = 2 * 2**30


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A small table that a query sees besides those of the file.

    Args:
        name: Constant of the program, never typed by anybody.
        columns: Name and DuckDB type of each, likewise constants.
        values: A list for each column.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    values: tuple[Sequence[object], ...]


@dataclass(frozen=True, slots=True)
class SqlResult:
    """What a query gave, every value as text; `is_cut` where there was more."""

    columns: list[str]
    rows: list[list[str]]
    is_cut: bool

    def ids(self) -> list[str] | None:
        """Values of the column `id`, each once in order; None where there is no such column."""
        if "id" not in self.columns:
            return None
        place = self.columns.index("id")
        return list(dict.fromkeys(row[place] for row in self.rows))


def run_query(
    database: Path, sql: str, limits: SqlLimits, tables: Sequence[SqlTable] = ()
) -> SqlResult:
    """Runs one query and waits for its result.

        result = run_query(path, "SELECT language, count(*) FROM rows GROUP BY 1", SqlLimits())

    Args:
        database: A DuckDB file; its tables and views are what the query sees.
        sql: One statement.
        limits: What it may take.
        tables: Further tables.

    Raises:
        SqlError: With DuckDB's words where the query is at fault.
    """
    request = _request(database, sql, limits, tables, "text")
    with _started(database) as process:
        try:
            out, _ = process.communicate(request, limits.timeout_s + _START_ALLOWANCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise explained("timeout", limits, database) from None
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        _log.info("a query's process ended with %s", process.returncode)
        raise explained("memory", limits, database) from None
    if "error" in answer:
        raise explained(answer["error"], limits, database)
    return SqlResult(answer["columns"], answer["rows"], answer["is_cut"])


def start_query(
    database: Path, sql: str, limits: SqlLimits, tables: Sequence[SqlTable] = ()
) -> "subprocess.Popen[bytes]":
    """Starts one query whose result comes as a stream, however long it is.

    Its first line on stdout is JSON, with `error` or the names of the `columns`; an Arrow stream
    follows. A failure later on cuts the stream off, and stderr says why. Times and memory are
    bounded as in `run_query`; rows, columns and characters are not. The caller ends the process.

    Raises:
        SqlError: It cannot be started.
    """
    request = _request(database, sql, limits, tables, "arrow")
    process = _started(database)
    assert process.stdin is not None
    process.stdin.write(request)
    process.stdin.close()
    return process


def explained(error: str, limits: SqlLimits, database: Path) -> SqlError:
    """What to tell about the error of a query: no path of this machine, and what to do."""
    if error == "timeout":
        return SqlError(f"the query took more than {limits.timeout_s:g} s. Narrow it down.")
    if error == "statements":
        return SqlError("write exactly one statement.")
    if error == "memory" or "Out of Memory" in error or "bad_alloc" in error:
        return SqlError(f"the query needs more memory than {limits.memory_limit}. Narrow it down.")
    return SqlError(error.replace(f"{database.parent}/", "").strip())


def _request(
    database: Path,
    sql: str,
    limits: SqlLimits,
    tables: Sequence[SqlTable],
    form: Literal["text", "arrow"],
) -> bytes:
    if not sql.strip() or len(sql) > _MAX_SQL_CHARS:
        raise SqlError(f"write one query of 1 to {_MAX_SQL_CHARS:,} characters.")
    asked: dict[str, Any] = {
        "sql": sql,
        "path": database.name,
        "form": form,
        "tables": [[table.name, table.columns, table.values] for table in tables],
        **{name: getattr(limits, name) for name in limits.__slots__},
    }
    return json.dumps(asked).encode()


def _started(database: Path) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=database.parent,
            env={"HOME": "/nonexistent"},
        )
    except OSError as exc:
        raise SqlError(f"the query could not be started: {exc.strerror}. Try again.") from exc
