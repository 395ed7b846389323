"""The ledger: every request, paid reply and outcome of a workspace, in one SQLite file."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from schemas.errors import PolysceneError

#: Raised by one whenever the tables change shape.
LEDGER_VERSION = 1

# A reply's raw bytes are committed before anything reads them, so what they cost stands apart.
# Outcomes carry their blobs last, so that counts read short rows; `request.id` is given by the
# single writer, so that a reply needs no second look-up.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prompt (hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS round (
    round INTEGER PRIMARY KEY,
    plan_hash TEXT NOT NULL,
    num_jobs INTEGER NOT NULL,
    accepted TEXT NOT NULL,
    tried TEXT NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    prompt_hash TEXT NOT NULL,
    parameters TEXT NOT NULL,
    num_sent INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'in_flight',
    batch TEXT
);
CREATE TABLE IF NOT EXISTS reply (
    request_id INTEGER PRIMARY KEY,
    status INTEGER NOT NULL,
    raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS usage (
    request_id INTEGER PRIMARY KEY,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost_usd REAL
);
CREATE TABLE IF NOT EXISTS outcome (
    job_id TEXT PRIMARY KEY,
    round INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    task_type TEXT NOT NULL,
    modality TEXT NOT NULL,
    language TEXT NOT NULL,
    sample_id TEXT,
    reason TEXT,
    request_hash TEXT,
    sample BLOB,
    provenance BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS outcome_place ON outcome (round, idx);
CREATE INDEX IF NOT EXISTS outcome_cell
    ON outcome (reason, task_type, modality, language);
CREATE TABLE IF NOT EXISTS batch (
    key TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    num_requests INTEGER NOT NULL,
    abilities TEXT NOT NULL,
    file_id TEXT,
    batch_id TEXT
) WITHOUT ROWID;
"""

#: (task type, modality combination, language).
Slot = tuple[str, str, str]


class LedgerError(PolysceneError):
    """The ledger is missing, damaged, of another version, or cannot be written."""


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A paid reply as it came; `is_counted` says that its usage stands in the ledger."""

    request_id: int
    status: int
    raw: bytes
    is_counted: bool = False
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round as it was planned: with its counts the same jobs come out again.

    Args:
        round: Its number.
        plan_hash: The plan's own hash.
        num_jobs: Size of the plan.
        accepted: Kept samples by slot when it was planned.
        tried: Jobs kept or dropped by slot when it was planned.
        closed: Whether every job has its outcome and set-level rules ran.
    """

    round: int
    plan_hash: str
    num_jobs: int
    accepted: dict[Slot, int]
    tried: dict[Slot, int]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch that is not over: meant to be sent, uploaded (`file_id`) or started (`batch_id`)."""

    key: str
    num_requests: int
    abilities: str
    file_id: str | None
    batch_id: str | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the workspace has paid so far."""

    num_requests: int
    num_replies: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Ledger:
    """Reads the ledger, and writes what is rare; `LedgerWriter` writes what is frequent.

    Args:
        path: The SQLite file; made when `create`.

    Raises:
        LedgerError: Missing, not a ledger, or of another version.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise LedgerError(f"{path}: no ledger there. Run `python -m builder build` first.")
        try:
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")
            self.db.execute("PRAGMA busy_timeout=10000")
            found = self.db.execute("PRAGMA user_version").fetchone()[0]
            if found == 0 and not self._has_tables():
                self.db.executescript(f"{_SCHEMA} PRAGMA user_version={LEDGER_VERSION};")
                found = LEDGER_VERSION
        except sqlite3.Error as exc:
            raise ledger_error(path, exc) from exc
        if found != LEDGER_VERSION:
            raise LedgerError(
                f"{path}: ledger version {found}, this program reads {LEDGER_VERSION}. "
                "Use the release of polyscene that wrote it, or begin a new workspace."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.db.close()

    def _has_tables(self) -> bool:
        return self.db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None

    # --- what was kept and dropped ---

    def kept(self) -> Iterator[tuple[bytes, bytes]]:
        """(sample, provenance) of every kept sample as JSON, ordered by sample id."""
        yield from self.db.execute(
            "SELECT sample, provenance FROM outcome WHERE reason IS NULL ORDER BY sample_id, job_id"
        )

    def kept_in_job_order(self) -> Iterator[tuple[str, bytes]]:
        """(job id, sample JSON) of every kept sample, in the order jobs were planned."""
        yield from self.db.execute(
            "SELECT job_id, sample FROM outcome WHERE reason IS NULL ORDER BY round, idx"
        )

    def accepted_counts(self) -> dict[Slot, int]:
        """Number of kept samples of each (task type, modality, language)."""
        return self._counts("WHERE reason IS NULL")

    def tried_counts(self) -> dict[Slot, int]:
        """Number of jobs, kept or dropped, of each (task type, modality, language)."""
        return self._counts("")

    def _counts(self, where: str) -> dict[Slot, int]:
        rows = self.db.execute(
            f"SELECT task_type, modality, language, count(*) FROM outcome {where} "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        return {(task, modality, language): num for task, modality, language, num in rows}

    def drop_counts(self) -> dict[str, int]:
        """Number of dropped samples by reason, the commonest first."""
        rows = self.db.execute(
            "SELECT reason, count(*) FROM outcome WHERE reason IS NOT NULL "
            "GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return dict(rows.fetchall())

    def language_counts(self) -> dict[str, tuple[int, int]]:
        """(kept, dropped) of each language."""
        rows = self.db.execute(
            "SELECT language, sum(reason IS NULL), sum(reason IS NOT NULL) FROM outcome GROUP BY 1"
        )
        return {language: (kept, dropped) for language, kept, dropped in rows}

    def done_in_round(self, round_: int, num_jobs: int) -> bytearray:
        """One byte a job of the round: 1 where it has an outcome."""
        done = bytearray(num_jobs)
        for (index,) in self.db.execute("SELECT idx FROM outcome WHERE round = ?", (round_,)):
            if index < num_jobs:
                done[index] = 1
        return done

    def drop(self, reasons: dict[str, str]) -> None:
        """Drops kept samples by a rule over the whole set; their bytes stay."""
        with self.transaction():
            self.db.executemany(
                "UPDATE outcome SET reason = ? WHERE job_id = ? AND reason IS NULL",
                [(reason, job_id) for job_id, reason in reasons.items()],
            )

    # --- requests and replies ---

    def find_reply(self, key: str) -> StoredReply | None:
        """The reply to a request, if one was ever paid for."""
        row = self.db.execute(
            "SELECT request.id, status, raw, usage.request_id IS NOT NULL, cost_usd FROM request "
            "JOIN reply ON reply.request_id = request.id "
            "LEFT JOIN usage ON usage.request_id = request.id WHERE key = ?",
            (key,),
        ).fetchone()
        return StoredReply(row[0], row[1], row[2], bool(row[3]), row[4]) if row else None

    def find_request(self, key: str) -> int | None:
        """Id of a request that was written down, whether or not a reply came."""
        row = self.db.execute("SELECT id FROM request WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def num_sent(self, key: str) -> int:
        """How often a request was sent."""
        row = self.db.execute("SELECT num_sent FROM request WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    def open_batches(self, role: str) -> list[BatchRecord]:
        """Batches of a role that are not over, the oldest first."""
        rows = self.db.execute(
            "SELECT key, num_requests, abilities, file_id, batch_id FROM batch "
            "WHERE role = ? AND state = 'open' ORDER BY batch_id IS NULL, key",
            (role,),
        )
        return [BatchRecord(*row) for row in rows]

    def has_leftovers(self) -> bool:
        """Whether requests stand that a job without outcome might have sent."""
        return (
            self.db.execute(
                "SELECT 1 FROM request WHERE NOT EXISTS "
                "(SELECT 1 FROM outcome WHERE outcome.job_id = request.job_id) LIMIT 1"
            ).fetchone()
            is not None
        )

    def last_request_id(self) -> int:
        return self.db.execute("SELECT coalesce(max(id), 0) FROM request").fetchone()[0]

    def spent(self) -> Spent:
        """Requests, tokens and dollars of the workspace so far."""
        sent = self.db.execute("SELECT coalesce(sum(num_sent), 0) FROM request").fetchone()[0]
        row = self.db.execute(
            "SELECT (SELECT count(*) FROM reply), coalesce(sum(prompt_tokens), 0), "
            "coalesce(sum(completion_tokens), 0), coalesce(sum(cost_usd), 0.0) FROM usage"
        ).fetchone()
        return Spent(sent, *row)

    # --- rounds ---

    def rounds(self) -> list[RoundRecord]:
        """Rounds planned so far, in order."""
        rows = self.db.execute(
            "SELECT round, plan_hash, num_jobs, accepted, tried, closed FROM round ORDER BY round"
        )
        return [
            RoundRecord(round_, plan_hash, num, _read_slots(accepted), _read_slots(tried), bool(c))
            for round_, plan_hash, num, accepted, tried, c in rows
        ]

    def add_round(self, record: RoundRecord) -> None:
        """Notes a planned round before its first job runs."""
        with self.transaction():
            self.db.execute(
                "INSERT OR IGNORE INTO round VALUES (?, ?, ?, ?, ?, ?)",
                (
                    record.round,
                    record.plan_hash,
                    record.num_jobs,
                    _write_slots(record.accepted),
                    _write_slots(record.tried),
                    int(record.closed),
                ),
            )

    def close_round(self, round_: int) -> None:
        """Notes that every job of the round has its outcome and set-level rules ran."""
        with self.transaction():
            self.db.execute("UPDATE round SET closed = 1 WHERE round = ?", (round_,))

    def reopen_rounds(self) -> None:
        """Notes that rounds have to be closed again."""
        with self.transaction():
            self.db.execute("UPDATE round SET closed = 0")

    # --- small facts ---

    def meta(self, name: str) -> str | None:
        """A remembered fact, such as what an endpoint can do."""
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: str) -> None:
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def transaction(self) -> "_Transaction":
        """A transaction whose failure names the ledger."""
        return _Transaction(self)


class _Transaction:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def __enter__(self) -> None:
        try:
            self.ledger.db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as exc:
            raise ledger_error(self.ledger.path, exc) from exc

    def __exit__(self, kind: type[BaseException] | None, exc: object, _: object) -> None:
        db = self.ledger.db
        try:
            db.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise ledger_error(self.ledger.path, error) from error
        if kind is not None and isinstance(exc, sqlite3.Error):
            raise ledger_error(self.ledger.path, exc) from exc


def _write_slots(counts: dict[Slot, int]) -> str:
    return orjson.dumps(sorted([*slot, num] for slot, num in counts.items())).decode()


def _read_slots(text: str) -> dict[Slot, int]:
    return {(task, modality, lang): num for task, modality, lang, num in orjson.loads(text)}


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
