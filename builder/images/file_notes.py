"""What a store notes about files that gave no image, and about URLs that were fetched."""

import sqlite3
import threading
from collections import Counter

from builder.images.record import printable


class FileNotes:
    """Refused files and fetched URLs; the base of a store.

    Args:
        db: The store's database.
        lock: Held while it is used.
    """

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._db = db
        self._lock = lock

    def refuse(self, name: str, reason: str, what: str) -> None:
        """Records that a file was refused, and why."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO refused VALUES (?,?,?)",
                (printable(name), reason, printable(what)),
            )

    def accept(self, name: str) -> None:
        """Deletes the record of a refusal, since the file is now accepted."""
        with self._lock:
            self._db.execute("DELETE FROM refused WHERE name = ?", (printable(name),))

    def refused(self) -> list[tuple[str, str, str]]:
        """Name, reason and explanation of every refused file, in order of name."""
        with self._lock:
            return self._db.execute("SELECT name, reason, what FROM refused").fetchall()

    def refused_by_reason(self) -> Counter[str]:
        with self._lock:
            rows = self._db.execute("SELECT reason, count(*) FROM refused GROUP BY 1").fetchall()
        return Counter(dict(rows))

    def note_fetched(self, url: str, reason: str | None = None, what: str | None = None) -> None:
        """Records that a URL need not be fetched again: it gave an image, or never will."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO fetched VALUES (?,?,?)",
                (printable(url), reason, what and printable(what)),
            )

    def fetched(self, url: str) -> tuple[str | None, str | None] | None:
        """Reason and explanation of a URL's refusal, (None, None) if it gave an image.

        None if it was not fetched yet, or failed in a way that may pass.
        """
        with self._lock:
            return self._db.execute(
                "SELECT reason, what FROM fetched WHERE url = ?", (printable(url),)
            ).fetchone()
