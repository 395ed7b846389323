"""The SQL console: one read-only query on the search index, shut off from everything else.

Checking what a statement is does not help (`WITH x AS (COPY … TO 'file')` parses as a SELECT
and writes a file), so nothing is checked: the query runs in a process of its own in which
files, network, extensions and settings are out of reach, with bounds on time and memory.
"""

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import numpy as np

from curation_app.data.query import Marks
from schemas.errors import PolysceneError

_log = logging.getLogger(__name__)

_WORKER = Path(__file__).with_name("sandbox_worker.py")
_MAX_SQL_CHARS = 20_000
_START_ALLOWANCE_S = 10.0
_NUM_AT_ONCE = 2


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


class SqlConsole:
    """Runs queries on one search index: table `rows`, and `reviews` (row, status).

        result = SqlConsole(query.index_path).run("SELECT language, count(*) FROM rows GROUP BY 1")

    Args:
        index: The index's file; None where it is in memory, and then no query can be run.
        limits: What one query may take.
    """

    def __init__(self, index: Path | None, *, limits: SqlLimits = SqlLimits()) -> None:
        self.index = index
        self._limits = limits
        self._free = BoundedSemaphore(_NUM_AT_ONCE)

    def run(self, sql: str, *, marks: Marks | None = None) -> SqlResult:
        """Runs one query.

        Args:
            sql: One statement.
            marks: Review marks by name, as masks over the rows; they become `reviews`.

        Raises:
            SqlError: With DuckDB's words where the query is at fault.
        """
        if self.index is None:
            raise SqlError(
                "the SQL console needs a search index on disk, and its cache folder cannot be "
                "written. Start the app with a cache folder that can be."
            )
        if not sql.strip() or len(sql) > _MAX_SQL_CHARS:
            raise SqlError(f"write one query of 1 to {_MAX_SQL_CHARS:,} characters.")
        if not self._free.acquire(blocking=False):
            raise SqlError("other queries are running. Try again in a few seconds.")
        try:
            answer = self._ask(sql, marks)
        finally:
            self._free.release()
        if "error" in answer:
            raise SqlError(self._explained(answer["error"]))
        return SqlResult(answer["columns"], answer["rows"], answer["is_cut"])

    def _ask(self, sql: str, marks: Marks | None) -> dict[str, Any]:
        limits, index = self._limits, self.index
        assert index is not None
        rows, statuses = _listed(marks or {})
        asked = {
            "sql": sql,
            "path": index.name,
            "review_rows": rows,
            "review_statuses": statuses,
            **{name: getattr(limits, name) for name in limits.__slots__},
        }
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(_WORKER)],
                input=json.dumps(asked).encode(),
                capture_output=True,
                cwd=index.parent,
                env={"HOME": "/nonexistent"},
                timeout=limits.timeout_s + _START_ALLOWANCE_S,
            )
        except subprocess.TimeoutExpired:
            return {"error": "timeout"}
        except OSError as exc:
            raise SqlError(f"the query could not be started: {exc.strerror}. Try again.") from exc
        try:
            return json.loads(done.stdout)
        except ValueError:
            _log.info("a query's process ended with %s", done.returncode)
            return {"error": "memory"}

    def _explained(self, error: str) -> str:
        limits = self._limits
        if error == "timeout":
            return f"the query took more than {limits.timeout_s:g} s. Narrow it down."
        if error == "statements":
            return "write exactly one statement."
        if error == "memory" or "Out of Memory" in error or "bad_alloc" in error:
            return f"the query needs more memory than {limits.memory_limit}. Narrow it down."
        folder = "" if self.index is None else str(self.index.parent)
        return error.replace(f"{folder}/", "").strip()


def _listed(marks: Marks) -> tuple[list[int], list[str]]:
    """Rows and statuses, a row once for each mark it has; those not reviewed are left out."""
    rows: list[int] = []
    statuses: list[str] = []
    for name, mask in marks.items():
        if name != "unreviewed":
            found = np.flatnonzero(mask).tolist()
            rows += found
            statuses += [name] * len(found)
    return rows, statuses
