"""Asks one question of a workspace's database and writes the answer, however long it is."""

# pyright: standard, reportMissingTypeStubs=false

import csv
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.sandbox import SqlError, SqlLimits, start_query
from schemas.sandbox.query import explained

Format = Literal["csv", "json", "parquet"]
#: The process is killed if it takes so much longer than its own timeout.
_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A result as it comes: its columns, and batches of rows."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def question_limits(timeout_s: float) -> SqlLimits:
    """What a question on a command line may take: more than one in a browser."""
    return SqlLimits(timeout_s=timeout_s, memory_limit="2GB", max_process_bytes=6 * 2**30)


@contextmanager
def ask(database: Path, sql: str, limits: SqlLimits) -> Iterator[Answer]:
    """Runs a question; the batches can be read once, inside the block.

        with ask(path, "SELECT * FROM dropped", question_limits(30)) as answer:
            write_answer(answer, "csv", file)

    Raises:
        SqlError: With DuckDB's words where the question is at fault.
    """
    process = start_query(database, sql, limits)
    timer = threading.Timer(limits.timeout_s + _GRACE_S, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        head = process.stdout.readline()
        try:
            found = json.loads(head)
        except ValueError:
            raise explained("memory", limits, database) from None
        if "error" in found:
            raise explained(found["error"], limits, database)
        reader = pa.ipc.open_stream(process.stdout)

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from reader
            except (pa.ArrowInvalid, OSError) as exc:
                raise _cut_off(process.stderr, limits, database) from exc
            if process.wait() != 0:
                raise _cut_off(process.stderr, limits, database)

        yield Answer(reader.schema, batches())
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def write_answer(answer: Answer, form: Format, out: BinaryIO) -> int:
    """Writes the whole answer; returns the number of rows.

    JSON is one object per line. In CSV, lists and structures are JSON.
    """
    if form == "parquet":
        return _write_parquet(answer, out)
    num_rows = 0
    text = _Lines(out)
    writer = csv.writer(text)
    if form == "csv":
        writer.writerow(answer.schema.names)
    for batch in answer.batches:
        rows = batch.to_pylist()
        num_rows += len(rows)
        if form == "json":
            out.write(b"".join(orjson.dumps(row, default=str) + b"\n" for row in rows))
        else:
            writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return num_rows


def first_rows(answer: Answer, num: int) -> tuple[list[list[str]], bool]:
    """So many rows as text, and whether there are more."""
    rows: list[list[str]] = []
    for batch in answer.batches:
        for row in batch.to_pylist():
            if len(rows) == num:
                return rows, True
            rows.append([str(_cell(value)) for value in row.values()])
    return rows, False


def _write_parquet(answer: Answer, out: BinaryIO) -> int:
    num_rows = 0
    with pq.ParquetWriter(out, answer.schema, compression="zstd") as writer:
        for batch in answer.batches:
            writer.write_batch(batch)
            num_rows += batch.num_rows
    return num_rows


class _Lines:
    """What `csv` writes text to, as UTF-8."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        self._out.write(text.encode("utf-8", "backslashreplace"))


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return orjson.dumps(value, default=str).decode()
    return value


def _cut_off(stderr: "IO[bytes] | None", limits: SqlLimits, database: Path) -> SqlError:
    said = stderr.read().decode("utf-8", "replace").strip() if stderr else ""
    return explained(said or "timeout", limits, database)
