"""Versions of the guidelines: rows of the store, only ever added to."""

from dataclasses import dataclass

from curation_app.store.database import Database

_COLUMNS = "version, ts, author, text"


@dataclass(frozen=True, slots=True)
class Guideline:
    """One version of the guidelines; versions count from 1."""

    version: int
    ts: str
    author: str
    text: str


class GuidelineStore:
    """The table of guidelines."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, ts: str, author: str, text: str) -> Guideline:
        """Stores a text as the next version."""
        with self._db.transaction():
            last = self._db.rows("SELECT coalesce(max(version), 0) FROM guideline")[0][0]
            added = Guideline(last + 1, ts, author, text)
            self._db.execute(
                f"INSERT INTO guideline ({_COLUMNS}) VALUES (?,?,?,?)",
                (added.version, added.ts, added.author, added.text),
            )
        return added

    def latest(self) -> Guideline | None:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM guideline ORDER BY version DESC LIMIT 1")
        return Guideline(*rows[0]) if rows else None

    def all(self) -> list[Guideline]:
        """Every version, oldest first."""
        return [
            Guideline(*row)
            for row in self._db.rows(f"SELECT {_COLUMNS} FROM guideline ORDER BY version")
        ]
