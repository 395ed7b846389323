"""Names of images in plans, ledgers and earlier versions, where they are not those of today."""

import sqlite3
import threading
from collections.abc import Collection

#: Parameters that SQLite accepts in a statement, also in older versions.
MAX_MARKS = 900


class ImageNames:
    """Finds names and published hashes of each other; a base of the store."""

    _db: sqlite3.Connection
    _lock: threading.RLock

    def published_names(self, names: Collection[str]) -> dict[str, str]:
        """Those of the names that are published under another hash, and that hash."""
        query = (
            "SELECT sha256, stored_as FROM image WHERE stored_as IS NOT NULL AND sha256 IN ({0}) "
            "UNION ALL SELECT original.sha256, coalesce(stored_as, image.sha256) FROM original "
            "JOIN image ON image.sha256 = original.image WHERE original.sha256 IN ({0})"
        )
        return dict(self._pairs(query, names))

    def former_names(self, hashes: Collection[str]) -> dict[str, list[str]]:
        """By published hash, the names that an image had, or may have had, in earlier versions."""
        query = (
            "SELECT stored_as, sha256 FROM image WHERE stored_as IN ({0}) "
            "UNION ALL SELECT coalesce(stored_as, image.sha256), original.sha256 FROM image "
            "JOIN original ON original.image = image.sha256 WHERE image.sha256 IN ({0})"
        )
        found: dict[str, list[str]] = {}
        for sha256, name in self._pairs(query, hashes):
            found.setdefault(sha256, []).append(name)
        return found

    def _pairs(self, query: str, values: Collection[str]) -> list[tuple[str, str]]:
        """Rows of a query that has marks for the values in two places."""
        pairs: list[tuple[str, str]] = []
        listed = list(values)
        for start in range(0, len(listed), MAX_MARKS // 2):
            part = listed[start : start + MAX_MARKS // 2]
            marks = ", ".join("?" * len(part))
            with self._lock:
                pairs += self._db.execute(query.format(marks), (*part, *part)).fetchall()
        return pairs
