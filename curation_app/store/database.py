"""One SQLite file on a local disk: opened, brought over, written in whole transactions."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from curation_app.store.tables import ADDED_IN, STORE_VERSION
from schemas.errors import PolysceneError
from schemas.review_store import APPLICATION_ID

_BUSY_TIMEOUT_S = 30.0
_BUSY_PAUSE_S = 0.02


class StoreError(PolysceneError):
    """The review store is missing, unreadable, full, or of another version."""


class Database:
    """A store's file, safe for many threads and processes.

    A file that cannot be written, or whose folder cannot, is opened for
    reading; a write then says so.

    Args:
        path: The file; made with its folder unless `must_exist`.
        must_exist: Raise instead of making a new store.

    Raises:
        StoreError: The file cannot be opened or is no review store of this version.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        self.path = path
        self._lock = RLock()
        if must_exist and not path.exists():
            raise StoreError(f"{path}: no review store there. Name one that reviewing has made.")
        self.is_read_only = path.exists() and not (
            os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        )
        if not self.is_read_only:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise StoreError(f"{path}: cannot make its folder: {exc.strerror}.") from exc
        with self._errors():
            self._connection = self._connect()
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def rows(self, query: str, values: Iterable[object] | Mapping[str, object] = ()) -> list[tuple]:
        """All rows of a query; values are bound, never written into it."""
        bound = values if isinstance(values, Mapping) else tuple(values)
        with self._lock, self._errors():
            return self._connection.execute(query, bound).fetchall()

    def execute(self, statement: str, values: Iterable[object] = ()) -> int:
        """Runs one statement inside a transaction of its own, or of the caller; rows changed."""
        with self.transaction():
            return self._connection.execute(statement, tuple(values)).rowcount

    def execute_many(self, statement: str, rows: Iterable[Iterable[object]]) -> None:
        """Runs one statement for many rows, all or none."""
        with self.transaction():
            self._connection.executemany(statement, (tuple(row) for row in rows))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One writer at a time; what it wrote is on disk when the outermost block has ended."""
        with self._lock, self._errors():
            if self._connection.in_transaction:
                yield
                return
            if self.is_read_only:
                raise StoreError(
                    f"{self.path}: it can only be read here, so nothing was stored. "
                    "Allow this user to write the file and its folder, or copy it."
                )
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _connect(self) -> sqlite3.Connection:
        where, is_uri = str(self.path), False
        if self.is_read_only:
            # Without a writable folder there is no shared memory for the log: `immutable` reads
            # the file alone, so a log that was left beside it must be empty.
            log = self.path.with_name(self.path.name + "-wal")
            mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
            where, is_uri = f"{self.path.absolute().as_uri()}?{mode}", True
        return sqlite3.connect(
            where,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            uri=is_uri,
        )

    def _prepare(self) -> None:
        found = self._version()
        if self.is_read_only:
            return
        if found < STORE_VERSION:
            if not found:
                self._use_log()
            with self.transaction():
                found = self._version()  # another process may have been first
                for version in range(found + 1, STORE_VERSION + 1):
                    for statement in _statements(ADDED_IN[version]):
                        self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {STORE_VERSION}")
        self._connection.execute("PRAGMA synchronous = FULL")

    def _use_log(self) -> None:
        """Switches to a write-ahead log; SQLite does not wait for others that do the same."""
        until = time.monotonic() + _BUSY_TIMEOUT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(_BUSY_PAUSE_S)

    def _version(self) -> int:
        """The store version of the file; 0 where it is still empty."""
        owner, version, num_tables = self._connection.execute(
            "SELECT (SELECT application_id FROM pragma_application_id), "
            "(SELECT user_version FROM pragma_user_version), "
            "(SELECT count(*) FROM sqlite_master)"
        ).fetchone()
        if not num_tables:
            return 0
        if owner != APPLICATION_ID:
            raise StoreError(f"{self.path}: not a review store. Name another file.")
        if not 1 <= version <= STORE_VERSION:
            raise StoreError(
                f"{self.path}: store version {version}, this program reads up to {STORE_VERSION}. "
                "Export it with the release of polyscene that made it."
            )
        return version

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as exc:
            raise StoreError(
                f"{self.path}: {exc}. Nothing was stored; "
                "free space or check the file, then try again."
            ) from exc


def _statements(script: str) -> Iterator[str]:
    """Statements of a script; `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
