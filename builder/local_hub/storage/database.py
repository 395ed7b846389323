"""The SQLite file with repositories, commits, references and folder listings."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

_BUSY_TIMEOUT_S = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    private INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (kind, namespace, name)
);
CREATE TABLE IF NOT EXISTS commits (
    repo_id INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    oid TEXT NOT NULL,
    parent TEXT,
    tree TEXT NOT NULL,
    author TEXT NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (repo_id, oid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refs (
    repo_id INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('heads', 'tags')),
    name TEXT NOT NULL,
    oid TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (repo_id, kind, name)
) WITHOUT ROWID;
-- A folder listing is named by its git hash, so unchanged folders are stored once.
CREATE TABLE IF NOT EXISTS tree_entries (
    tree TEXT NOT NULL,
    name TEXT NOT NULL,
    oid TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT,
    is_lfs INTEGER NOT NULL,
    PRIMARY KEY (tree, name)
) WITHOUT ROWID;
-- `base` and `head` are commits of a pull request, null for a discussion.
CREATE TABLE IF NOT EXISTS discussions (
    repo_id INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    num INTEGER NOT NULL,
    title TEXT NOT NULL,
    author TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'closed', 'merged', 'draft')),
    created_at TEXT NOT NULL,
    base TEXT,
    head TEXT,
    merged TEXT,
    PRIMARY KEY (repo_id, num)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discussion_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repo_id INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    num INTEGER NOT NULL,
    type TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at TEXT NOT NULL,
    data TEXT NOT NULL
);
-- Contents that a repository may commit; to know the hash of another's file is not enough.
CREATE TABLE IF NOT EXISTS repo_blobs (
    repo_id INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (repo_id, sha256)
) WITHOUT ROWID;
-- Chunks `first` to `stop`, exclusive, of a xorb lie in a content one after another from
-- `offset` on; `lengths` are their sizes, 32 bits each.
CREATE TABLE IF NOT EXISTS xorb_spans (
    repo_id INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    xorb TEXT NOT NULL,
    first INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    offset INTEGER NOT NULL,
    lengths BLOB NOT NULL,
    PRIMARY KEY (repo_id, xorb, first, stop)
);
"""


class Database:
    """Short transactions on one file, each on its own connection, so any thread may open one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> None:
        """Makes the file and its tables if they do not exist."""
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        finally:
            connection.close()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Opens a consistent snapshot."""
        yield from self._transaction("BEGIN")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Be the only writer until the block ends; all of its changes are made, or none."""
        yield from self._transaction("BEGIN IMMEDIATE")

    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._connect()
        try:
            connection.execute(begin)
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged commit is on disk
        return connection


def utc_now() -> str:
    """The time in the Hub's format: `2026-11-23T14:48:00.000Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
