"""A transaction on the ledger, and what went wrong with its file, in words."""

import sqlite3
from pathlib import Path

from schemas.errors import PolysceneError


class LedgerError(PolysceneError):
    """The ledger is missing, damaged, of another version, or cannot be written."""


class Transaction:
    """A transaction whose failure names the ledger."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as exc:
            raise ledger_error(self._path, exc) from exc

    def __exit__(self, kind: type[BaseException] | None, exc: object, _: object) -> None:
        db = self._db
        try:
            db.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise ledger_error(self._path, error) from error
        if kind is not None and isinstance(exc, sqlite3.Error):
            raise ledger_error(self._path, exc) from exc


def ledger_error(path: Path, exc: sqlite3.Error) -> LedgerError:
    """What went wrong with the file, in words."""
    code = getattr(exc, "sqlite_errorname", "") or ""
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return LedgerError(
            f"{path}: no space left to write ({exc}). Free some space and run the same command "
            "again; everything committed so far is kept."
        )
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return LedgerError(f"{path}: not a readable ledger ({exc}). Restore it from a backup.")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerError(f"{path}: another process is writing. Wait for it, or stop it.")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return LedgerError(f"{path}: cannot be written ({exc}). Check its permissions.")
    return LedgerError(f"{path}: {exc}. Restore it from a backup if this persists.")
