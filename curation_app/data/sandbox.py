"""The SQL console: one read-only query on the search index, shut off from everything else."""

from pathlib import Path
from threading import BoundedSemaphore

import numpy as np

from curation_app.data.query import Marks
from schemas.sandbox import SqlError, SqlLimits, SqlResult, SqlTable, run_query

__all__ = ["SqlConsole", "SqlError", "SqlLimits", "SqlResult"]

_NUM_AT_ONCE = 2
_LIMITS = SqlLimits()
_REVIEW_COLUMNS = (("row", "INTEGER"), ("status", "VARCHAR"))


class SqlConsole:
    """Runs queries on one search index: table `rows`, and `reviews` (row, status).

        result = SqlConsole(query.index_path).run("SELECT language, count(*) FROM rows GROUP BY 1")

    Args:
        index: The index's file; None where it is in memory, and then no query can be run.
        limits: What one query may take.
    """

    def __init__(self, index: Path | None, *, limits: SqlLimits = _LIMITS) -> None:
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
        if not self._free.acquire(blocking=False):
            raise SqlError("other queries are running. Try again in a few seconds.")
        try:
            reviews = SqlTable("reviews", _REVIEW_COLUMNS, _listed(marks or {}))
            return run_query(self.index, sql, self._limits, [reviews])
        finally:
            self._free.release()


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
