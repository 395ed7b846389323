"""Reads review events from the app's SQLite store or its export in JSON Lines."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from schemas.errors import PolysceneError, RowError
from schemas.review import ReviewEvent, read_events

#: "poly": distinguishes our stores from other SQLite files.
APPLICATION_ID = 0x706F6C79
_MAGIC = b"SQLite format 3\0"
_BUSY_TIMEOUT_S = 30.0


class ReviewSourceError(PolysceneError):
    """Reviews cannot be read: no such file, or neither a store nor an export."""


def is_store(path: Path) -> bool:
    """Whether a file is a SQLite file, such as a review store."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_reviews(path: Path) -> Iterator[ReviewEvent]:
    """Events of a review store or of an export in JSON Lines, in stored order.

    Raises:
        ReviewSourceError: It cannot be read, or is another program's file.
        RowError: A line of an export is not an event; names file and line.
    """
    try:
        is_database = is_store(path)
    except OSError as exc:
        raise ReviewSourceError(
            f"{path}: {exc.strerror}. Name a review store or an export of one."
        ) from exc
    if not is_database:
        yield from read_events(path)
        return
    for index, (body,) in enumerate(_rows(path, "SELECT body FROM event ORDER BY seq")):
        try:
            yield ReviewEvent.model_validate(orjson.loads(body))
        except (orjson.JSONDecodeError, ValidationError) as exc:
            raise RowError(
                f"not a review event: {str(exc).splitlines()[0]}",
                shard=path.name,
                row_index=index,
                remedy="Export the reviews with the release of polyscene that wrote them.",
            ) from exc


def read_audit_reports(path: Path) -> list[str]:
    """JSON of the reports of a store's closed audits, oldest first; an export has none.

    Raises:
        ReviewSourceError: It cannot be read, or is another program's file.
    """
    if not is_store(path):
        return []
    query = "SELECT report FROM audit WHERE report IS NOT NULL ORDER BY closed_ts, audit_id"
    tables = _rows(path, "SELECT name FROM sqlite_master WHERE name = 'audit'")
    return [report for (report,) in _rows(path, query)] if tables else []


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query on a store; an app may be writing to it."""
    try:
        with closing(_open(path)) as connection:
            owner = connection.execute("PRAGMA application_id").fetchone()[0]
            if owner != APPLICATION_ID:
                raise ReviewSourceError(f"{path}: not a review store. Name another file.")
            return connection.execute(query).fetchall()
    except sqlite3.DatabaseError as exc:
        raise ReviewSourceError(
            f"{path}: {exc}. Export the reviews, then name the export."
        ) from exc


def _open(path: Path) -> sqlite3.Connection:
    where = path.absolute().as_uri()
    log = path.with_name(path.name + "-wal")
    try:
        connection = sqlite3.connect(f"{where}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)
        connection.execute("SELECT count(*) FROM sqlite_master")
        return connection
    except sqlite3.OperationalError:
        # In a read-only folder SQLite cannot create the log's shared memory; without a log the
        # file alone is complete.
        if log.exists() and log.stat().st_size:
            raise
        return sqlite3.connect(f"{where}?immutable=1", uri=True)
