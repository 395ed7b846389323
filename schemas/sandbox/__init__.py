"""Read-only SQL on a DuckDB file, in a process that can do nothing else; app and builder use it."""

from schemas.sandbox.query import SqlError, SqlLimits, SqlResult, SqlTable, run_query, start_query

__all__ = ["SqlError", "SqlLimits", "SqlResult", "SqlTable", "run_query", "start_query"]
