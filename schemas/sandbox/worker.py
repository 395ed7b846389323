"""Runs one SQL query in a process of its own that can do nothing else.

Started by `schemas.sandbox.query` as a script, so that it imports DuckDB and
nothing of ours: the question comes as JSON on stdin, the answer goes to stdout,
as JSON or as an Arrow stream. DuckDB's own settings shut files, network and extensions out; the
limits of the process hold where they do not: `repeat('x', 3000000000)` takes no
heed of `memory_limit`.
"""

import json
import os
import resource
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb

_OPTIONS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

_ROWS_PER_BATCH = 10_000
#: The file's folder; DuckDB's own tables of databases would show where it lies.
_FOLDER = f"{Path.cwd()}/"


def main() -> None:
    """Answers `{"columns", "rows", "is_cut"}`, or `{"columns"}` and a stream, or `{"error"}`."""
    asked = json.load(sys.stdin)
    _limit_process(asked)
    try:
        answer = _stream(asked) if asked["form"] == "arrow" else _answer(asked)
    except duckdb.InterruptException:
        answer = {"error": "timeout"}
    except (duckdb.Error, MemoryError, RuntimeError, UnicodeError) as exc:
        answer = {"error": str(exc) or "memory"}
    if answer is None:
        return
    try:
        json.dump(answer, sys.stdout)
    except MemoryError:
        sys.exit(1)


def _limit_process(asked: dict[str, Any]) -> None:
    cpu_s = int(asked["timeout_s"]) + 2
    for kind, value in (
        (resource.RLIMIT_AS, asked["max_process_bytes"]),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _executed(asked: dict[str, Any]) -> Any:
    """The result of the statement, or None where there is not exactly one."""
    connection = _connect(asked)
    statements = connection.extract_statements(asked["sql"])
    if len(statements) != 1:
        return None
    timer = threading.Timer(asked["timeout_s"], connection.interrupt)
    timer.daemon = True
    timer.start()
    return connection.execute(statements[0])


def _stream(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Writes the whole result; an error before its first row is returned instead."""
    pa: Any = import_module("pyarrow")
    result = _executed(asked)
    if result is None:
        return {"error": "statements"}
    columns = [str(column[0]) for column in result.description or ()]
    reader = result.to_arrow_reader(_ROWS_PER_BATCH)
    first = next(iter(reader), None)
    out = sys.stdout.buffer
    out.write(json.dumps({"columns": columns}).encode() + b"\n")
    try:
        with pa.ipc.new_stream(out, reader.schema) as writer:
            if first is not None:
                writer.write_batch(first)
            for batch in reader:
                writer.write_batch(batch)
    except BrokenPipeError:
        pass
    except Exception as exc:  # the first line is out: stderr says why the stream ends here
        is_late = isinstance(exc, duckdb.InterruptException) or "INTERRUPT" in str(exc)
        sys.stderr.write("timeout" if is_late else str(exc) or "memory")
        sys.stderr.flush()
        os._exit(1)
    return None


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    result = _executed(asked)
    if result is None:
        return {"error": "statements"}
    if result.description is None:
        return {"columns": [], "rows": [], "is_cut": False}
    columns = [str(column[0]) for column in result.description]
    if len(columns) > asked["max_columns"]:
        return {"error": f"{len(columns)} columns, at most {asked['max_columns']} can be shown"}
    rows: list[list[str]] = []
    num_chars = 0
    while len(rows) < asked["max_rows"] and num_chars < asked["max_chars"]:
        found = result.fetchmany(min(100, asked["max_rows"] - len(rows)))
        if not found:
            return {"columns": columns, "rows": rows, "is_cut": False}
        for values in found:
            row = [_shown(value, asked["max_cell_chars"]) for value in values]
            num_chars += sum(map(len, row))
            rows.append(row)
    return {"columns": columns, "rows": rows, "is_cut": bool(result.fetchmany(1))}


def _connect(asked: dict[str, Any]) -> Any:
    """A connection that sees the file's tables and those given, and may change nothing."""
    connection = duckdb.connect(config=dict(_OPTIONS))
    path = asked["path"].replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS version (READ_ONLY)")
    connection.execute("USE version")
    for name, columns, values in asked["tables"]:
        kinds = ", ".join(f"{column} {kind}" for column, kind in columns)
        lists = ", ".join(f"unnest(${column}::{kind}[])" for column, kind in columns)
        names = (column for column, _ in columns)
        connection.execute(f"CREATE TEMP TABLE {name} ({kinds})")
        connection.execute(
            f"INSERT INTO {name} SELECT {lists}", dict(zip(names, values, strict=True))
        )
    for setting in (
        f"memory_limit = '{asked['memory_limit']}'",
        f"threads = {int(asked['num_threads'])}",
        "temp_directory = ''",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _shown(value: Any, max_chars: int) -> str:
    text = "" if value is None else str(value).replace(_FOLDER, "")
    return text if len(text) <= max_chars else text[:max_chars] + "…"


if __name__ == "__main__":
    main()
