"""The ledger: every request, paid reply and outcome of a workspace, in one SQLite file."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import orjson

from builder.ledger.history import Streak, has_leftovers, replied_counts, reply_shares, streaks
from builder.ledger.spending import read_spent
from builder.ledger.tables import (
    ADDED_COLUMNS,
    ADDED_TABLES,
    LEDGER_VERSION,
    SCHEMA,
    AnsweredRequest,
    BatchRecord,
    KeptRow,
    RoundRecord,
    Spent,
    StoredReply,
)
from builder.ledger.transaction import LedgerError, Transaction, ledger_error
from builder.plan.shares import Slot

#: Of a row of `outcome`: whether the reply it was made from is in the ledger.
_HAS_REPLY = (
    "EXISTS (SELECT 1 FROM request JOIN reply ON reply.request_id = request.id "
    "WHERE request.job_id = outcome.job_id AND kind = 'sample')"
)


_ROWS_AT_ONCE = 50_000

#: Name of the note that says which judge was asked about all kept samples.
JUDGED_BY = "judged by"
#: Name of the note that says what the table of targets was grown from.
_BASE = "targets grown from"


class Ledger:
    """Reads the ledger, and writes what is rare; `LedgerWriter` writes what is frequent.

    Example:
        with Ledger(workspace.ledger_path) as ledger:
            print(ledger.drop_counts())

    Args:
        path: The SQLite file.
        create: Whether to make it where it is missing.

    Raises:
        LedgerError: Missing, not a ledger, or of another version.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise LedgerError(f"{path}: no such ledger. Run `python -m builder build` first.")
        try:
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")
            self.db.execute("PRAGMA busy_timeout=10000")
            found = self.db.execute("PRAGMA user_version").fetchone()[0]
            if found == 0 and self._is_unfinished():
                self.db.executescript(
                    f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={LEDGER_VERSION}; COMMIT;"
                )
                found = LEDGER_VERSION
            if found == LEDGER_VERSION:
                self._add_columns()
        except sqlite3.Error as exc:
            raise ledger_error(path, exc) from exc
        if found != LEDGER_VERSION:
            raise LedgerError(
                f"{path}: ledger version {found}, this program reads {LEDGER_VERSION}. "
                "Use the release of polyscene that wrote it, or start a new workspace."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.db.close()

    def _is_unfinished(self) -> bool:
        """Whether there are no tables but a ledger's: new, or cut off while it was made."""
        names = {row[0] for row in self.db.execute("SELECT name FROM sqlite_master")}
        return all(name in SCHEMA or name.startswith("sqlite_") for name in names)

    def _add_columns(self) -> None:
        for table, column, kind in ADDED_COLUMNS:
            columns = [row[1] for row in self.db.execute(f"PRAGMA table_info({table})")]
            if columns and column not in columns:
                self.db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        names = {row[0] for row in self.db.execute("SELECT name FROM sqlite_master")}
        if not names.issuperset(ADDED_TABLES):
            self.db.executescript(SCHEMA)

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

    def kept_provenance(self) -> Iterator[tuple[str, bytes]]:
        """(job id, provenance JSON) of every kept sample, in no particular order."""
        yield from self.db.execute("SELECT job_id, provenance FROM outcome WHERE reason IS NULL")

    def kept_after(self, place: tuple[int, int], num: int) -> list[KeptRow]:
        """The next kept samples in job order, after a (round, index)."""
        rows = self.db.execute(
            "SELECT job_id, round, idx, provenance FROM outcome "
            "WHERE (round, idx) > (?, ?) AND reason IS NULL AND provenance IS NOT NULL "
            "ORDER BY round, idx LIMIT ?",
            (*place, num),
        )
        return [KeptRow(*row) for row in rows]

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

    def replied_counts(self) -> dict[Slot, int]:
        """Jobs of each slot that a model replied to, surplus left out."""
        return replied_counts(self.db)

    def reply_shares(self) -> dict[int, float]:
        """Share of the jobs of each round that a model replied to."""
        return reply_shares(self.db)

    def streaks(self) -> dict[Slot, Streak]:
        """Failures in a row of each slot whose last answered job was dropped."""
        return streaks(self.db)

    def outcomes(self, columns: Sequence[str], since_round: int) -> Iterator[list[tuple]]:
        """Columns of the outcomes of a round and later ones, a block of rows at a time."""
        query = f"SELECT {', '.join(columns)} FROM outcome WHERE round >= ?"
        try:
            cursor = self.db.execute(query, [since_round])
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield rows
        except sqlite3.Error as exc:
            raise ledger_error(self.path, exc) from exc

    def last_round(self) -> int:
        """The latest round with an outcome; -1 where there is none."""
        found = self.db.execute("SELECT max(round) FROM outcome").fetchone()[0]
        return -1 if found is None else int(found)

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
        """One byte per job of the round: 1 where it has an outcome."""
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

    def restore_dropped(self, reason: str) -> int:
        """Keeps samples again that a rule over the whole set dropped; returns their number."""
        return self.db.execute(
            "UPDATE outcome SET reason = NULL WHERE reason = ? AND sample IS NOT NULL", (reason,)
        ).rowcount

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

    def is_counted(self, request_id: int) -> bool:
        """Whether the cost of a reply is written down."""
        found = self.db.execute("SELECT 1 FROM usage WHERE request_id = ?", (request_id,))
        return found.fetchone() is not None

    def find_request(self, key: str) -> int | None:
        """Id of a request that was written down, whether or not a reply came."""
        row = self.db.execute("SELECT id FROM request WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def index_jobs(self) -> None:
        """Makes `answered_requests` fast; builds do without."""
        self.db.execute("CREATE INDEX IF NOT EXISTS request_job ON request (job_id)")

    def answered_requests(self, job_id: str, kind: str) -> list[AnsweredRequest]:
        """A job's requests of a kind that have a reply, in the order of their first sending."""
        rows = self.db.execute(
            "SELECT request.id, key, prompt_hash, parameters, status, model FROM request "
            "JOIN reply ON reply.request_id = request.id WHERE job_id = ? AND kind = ? "
            "ORDER BY request.id",
            (job_id, kind),
        )
        return [AnsweredRequest(*row) for row in rows]

    def answered_counts(self) -> tuple[int, int]:
        """Number of jobs with an outcome, and of those whose reply is in the ledger too."""
        row = self.db.execute(
            f"SELECT count(*), coalesce(sum({_HAS_REPLY}), 0) FROM outcome WHERE round >= 0"
        ).fetchone()
        return row[0], row[1]

    def unanswered_samples(self) -> list[str]:
        """Ids of jobs with a sample, kept or dropped, whose reply is missing, in job order."""
        rows = self.db.execute(
            f"SELECT job_id FROM outcome WHERE provenance IS NOT NULL AND NOT {_HAS_REPLY} "
            "ORDER BY round, idx"
        )
        return [row[0] for row in rows]

    def sample_and_provenance(self, job_id: str) -> tuple[bytes, bytes]:
        """A job's sample and provenance as JSON, whether kept or dropped since."""
        return self.db.execute(
            "SELECT sample, provenance FROM outcome WHERE job_id = ?", (job_id,)
        ).fetchone()

    def set_outcome(self, job_id: str, reason: str | None, provenance: bytes | None) -> None:
        """Keeps or drops a job's sample; its provenance stays where none is given."""
        self.db.execute(
            "UPDATE outcome SET reason = ?, provenance = coalesce(?, provenance) WHERE job_id = ?",
            (reason, provenance, job_id),
        )

    def num_sent(self, key: str) -> int:
        """How often a request was sent."""
        row = self.db.execute("SELECT num_sent FROM request WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    def open_batches(self, role: str) -> list[BatchRecord]:
        """Batches of a role that are not over, started ones first."""
        rows = self.db.execute(
            "SELECT key, num_requests, abilities, file_id, batch_id FROM batch "
            "WHERE role = ? AND state = 'open' ORDER BY batch_id IS NULL, key",
            (role,),
        )
        return [BatchRecord(*row) for row in rows]

    def has_open_batches(self) -> bool:
        """Whether a batch of any role is not over."""
        return bool(self.db.execute("SELECT 1 FROM batch WHERE state = 'open' LIMIT 1").fetchone())

    def has_leftovers(self) -> bool:
        """Whether an earlier run sent requests of jobs that lack an outcome or a judgement."""
        return has_leftovers(self.db, is_judged=self.meta(JUDGED_BY) is not None)

    def last_request_id(self) -> int:
        return self.db.execute("SELECT coalesce(max(id), 0) FROM request").fetchone()[0]

    def spent(self) -> Spent:
        """Requests, tokens and dollars of the workspace so far."""
        return read_spent(self.db)

    # --- rounds ---

    def rounds(self) -> list[RoundRecord]:
        """Rounds planned so far, in order."""
        rows = self.db.execute(
            "SELECT round, plan_hash, num_jobs, accepted, tried, closed FROM round ORDER BY round"
        )
        return [
            RoundRecord(
                *(round_, plan_hash, num),
                *(_read_slots(accepted), _read_slots(tried), bool(closed)),
                orjson.loads(self.meta(_targets_name(round_)) or "{}"),
                *(_read_slots(self.meta(name) or "[]") for name in _slot_notes(round_)),
            )
            for round_, plan_hash, num, accepted, tried, closed in rows.fetchall()
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
            self.db.execute(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                (_targets_name(record.round), orjson.dumps(record.targets).decode()),
            )
            notes = zip(_slot_notes(record.round), (record.base, record.limits), strict=True)
            self.db.executemany(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                [(name, _write_slots(counts)) for name, counts in notes if counts],
            )

    def close_round(self, round_: int) -> None:
        """Notes that every job of the round has its outcome and set-level rules ran."""
        with self.transaction():
            self.db.execute("UPDATE round SET closed = 1 WHERE round = ?", (round_,))

    def reopen_rounds(self) -> None:
        """Notes that rounds have to be closed again."""
        with self.transaction():
            self.db.execute("UPDATE round SET closed = 0")

    def base(self, targets: dict[str, object]) -> dict[Slot, int] | None:
        """Kept samples by slot when these targets were first planned for; None where unknown."""
        noted = orjson.loads(self.meta(_BASE) or "{}")
        return _read_slots(noted["slots"]) if noted.get("targets") == targets else None

    def set_base(self, targets: dict[str, object], slots: dict[Slot, int]) -> None:
        """Notes what these targets are grown from."""
        noted = {"targets": targets, "slots": _write_slots(slots)}
        self.set_meta(_BASE, orjson.dumps(noted).decode())

    # --- small facts ---

    def meta(self, name: str) -> str | None:
        """A remembered fact, such as what an endpoint can do."""
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: str) -> None:
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def drop_meta(self, name: str) -> None:
        with self.transaction():
            self.db.execute("DELETE FROM meta WHERE name = ?", (name,))

    def transaction(self) -> Transaction:
        """A transaction whose failure names the ledger."""
        return Transaction(self.db, self.path)


def _targets_name(round_: int) -> str:
    return f"targets of round {round_}"


def _slot_notes(round_: int) -> tuple[str, str]:
    """Names of the notes that hold `base` and `limits` of a round."""
    return f"base of round {round_}", f"limits of round {round_}"


def _write_slots(counts: dict[Slot, int]) -> str:
    return orjson.dumps(sorted([*slot, num] for slot, num in counts.items())).decode()


def _read_slots(text: str) -> dict[Slot, int]:
    return {(task, modality, lang): num for task, modality, lang, num in orjson.loads(text)}
