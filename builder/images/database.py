"""The tables of an image store; those of stores made by earlier code get what they lack."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from schemas.errors import PolysceneError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS image (
    sha256 TEXT PRIMARY KEY,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    num_bytes INTEGER NOT NULL,
    phash TEXT NOT NULL,
    image_group TEXT NOT NULL,
    licence TEXT NOT NULL,
    source TEXT NOT NULL,
    languages TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refused (
    name TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    what TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS original (
    sha256 TEXT PRIMARY KEY,
    image TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS look (
    position INTEGER PRIMARY KEY,
    image TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS fetched (
    url TEXT PRIMARY KEY,
    reason TEXT,
    what TEXT
) WITHOUT ROWID;
"""
#: Columns of `image` that the first stores did not have. `sha256` names an image in plans and
#: ledgers; `stored_as` is the hash of its bytes where they were brought over later.
_LATER_COLUMNS = {
    "stored_as": "TEXT",
    "is_normal": "INTEGER NOT NULL DEFAULT 0",
    "licence_id": "TEXT",
    "caption": "TEXT",
    "alt_text": "TEXT",
    "original_sha256": "TEXT",
    "original_format": "TEXT",
    "original_width": "INTEGER",
    "original_height": "INTEGER",
    "original_bytes": "INTEGER",
}


class ImageStoreError(PolysceneError):
    """The store lacks an image or its files are damaged."""


def open_database(directory: Path) -> sqlite3.Connection:
    """Opens the store's database, made or brought up to date where needed.

    Raises:
        ImageStoreError: It is damaged.
    """
    try:
        db = sqlite3.connect(
            directory / "images.sqlite",
            check_same_thread=False,
            isolation_level=None,
            timeout=30.0,
        )
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA)
        _add_columns(db)
        db.execute("CREATE INDEX IF NOT EXISTS original_image ON original (image)")
        db.execute(
            "CREATE INDEX IF NOT EXISTS image_stored_as ON image (stored_as) "
            "WHERE stored_as IS NOT NULL"
        )
    except sqlite3.DatabaseError as exc:
        raise ImageStoreError(
            f"{directory / 'images.sqlite'}: {exc}. Restore it from a backup, or delete "
            f"{directory} and add the images again."
        ) from exc
    return db


def _add_columns(db: sqlite3.Connection) -> None:
    present = {row[1] for row in db.execute("PRAGMA table_info(image)")}
    for name, kind in _LATER_COLUMNS.items():
        if name not in present:
            with suppress(sqlite3.OperationalError):  # another process was quicker
                db.execute(f"ALTER TABLE image ADD COLUMN {name} {kind}")
