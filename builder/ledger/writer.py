"""Group commits to the ledger: records of a few milliseconds share a transaction and an fsync."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path

from builder.ledger.choices import MadeChoice
from builder.ledger.ledger import Ledger, LedgerError, ledger_error
from builder.ledger.tables import Outcome, SentRequest

#: How long the first record of a group waits for others.
GROUP_S = 0.005
#: Below this much free space nothing more is sent, so that replies in flight still find room.
MIN_FREE_BYTES = 64 * 2**20
_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0)
_SPACE_CHECK_S = 1.0
#: A group of this many rows takes no more without waiting.
_FULL_ROWS = 1_000

#: What SQLite stores in one column.
Value = str | int | float | bytes | None

# Statements in the order a group runs them: a request before its reply, a reply before its usage,
# the failure of a sending before the next one.
_PROMPT = "INSERT OR IGNORE INTO prompt VALUES (?, ?)"
_REQUEST = (
    "INSERT INTO request (id, key, job_id, kind, prompt_hash, parameters, batch, model, most_usd) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
#: A request that is sent again while nothing is known of its last sending was cut off by a kill.
_RESENT = (
    "UPDATE request SET num_sent = num_sent + 1, state = 'in_flight', batch = ?, "
    "num_killed = num_killed + (state = 'in_flight' AND batch IS NULL), "
    "most_usd = coalesce(?, most_usd) WHERE key = ?"
)
_FAILED = "UPDATE request SET state = 'failed', error = coalesce(?, error) WHERE key = ?"
_UNANSWERED = (
    "UPDATE request SET state = 'failed', num_unanswered = num_unanswered + 1, "
    "error = coalesce(?, error) WHERE key = ?"
)
_REPLY = "INSERT OR IGNORE INTO reply VALUES (?, ?, ?)"
_USAGE = "INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?)"
_OUTCOME = "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_JUDGED = "UPDATE outcome SET provenance = ? WHERE job_id = ?"
_CHOICE = "INSERT OR REPLACE INTO choice VALUES (?, ?, ?, ?, ?, ?)"
_BATCH = "INSERT INTO batch (key, role, state, num_requests, abilities) VALUES (?, ?, 'open', ?, ?)"
_BATCH_UNSENT = "UPDATE request SET num_sent = num_sent - 1, state = 'failed' WHERE batch = ?"
_BATCH_FILE = "UPDATE batch SET file_id = ? WHERE key = ?"
_BATCH_STARTED = "UPDATE batch SET batch_id = ? WHERE key = ?"
_BATCH_ENDED = "UPDATE batch SET state = ? WHERE key = ?"
_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_STATEMENTS = (
    *(_PROMPT, _REQUEST, _FAILED, _UNANSWERED, _RESENT, _REPLY, _USAGE, _OUTCOME, _JUDGED),
    _CHOICE,
    *(_BATCH, _BATCH_UNSENT, _BATCH_FILE, _BATCH_STARTED, _BATCH_ENDED, _META),
)
#: A record's columns in the order of its table; faster than a property by property copy.
_request_row = attrgetter(*(entry.name for entry in fields(SentRequest)))
_outcome_row = attrgetter(*(entry.name for entry in fields(Outcome)))


def free_bytes(directory: Path) -> int:
    """Space an ordinary process may still use on the file system of `directory`."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


@dataclass(slots=True)
class _Group:
    """Rows that will share one commit, by statement in the order in which they are written."""

    rows: dict[str, list[tuple[Value, ...]]] = field(
        default_factory=lambda: {statement: [] for statement in _STATEMENTS}
    )
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    num_rows: int = 0


class LedgerWriter:
    """Takes records from the event loop and commits them in groups.

    Each method returns at once, and its record is committed with the next
    group; where something may happen only once it is on disk, `flush` waits
    for that. Records are handed to SQLite on the loop, which costs
    microseconds; the commit with its fsync runs in a thread. A group that
    cannot be written is tried again a few times before those who wait get the
    error, so that a disk freed in time loses nothing.

    Every method but `take_request_id` raises `LedgerError` once an earlier
    group could not be written.

    Example:
        writer = LedgerWriter(ledger, stop.set)
        writer.reply(request_id, 200, body)
        await writer.flush()  # only now is the body read

    Args:
        ledger: The ledger to write to.
        on_trouble: Called when sending must stop: no space, or a failed commit.
        free_bytes: Free space of a directory; a seam for tests.
    """

    def __init__(
        self,
        ledger: Ledger,
        on_trouble: Callable[[LedgerError], None],
        free_bytes: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._path = ledger.path
        self._on_trouble = on_trouble
        self._free_bytes = free_bytes
        self._db = sqlite3.connect(ledger.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA busy_timeout=10000")
        self._db.execute("PRAGMA cache_size=-8192")
        self._pool = ThreadPoolExecutor(1, "ledger")
        self._next_id = ledger.last_request_id() + 1
        self._group = _Group()
        self._committing: _Group | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._error: LedgerError | None = None
        self._space_checked_at = 0.0
        self._task = asyncio.create_task(self._run())

    # --- requests and replies ---

    def take_request_id(self) -> int:
        """The id of the next request; no other writer gives any."""
        taken = self._next_id
        self._next_id += 1
        return taken

    def prompt(self, prompt_hash: str, text: str) -> None:
        """Writes a system prompt down, once however often it is given."""
        self._add(_PROMPT, (prompt_hash, text))

    def request(self, request: SentRequest) -> None:
        """Writes a request down before it is sent for the first time."""
        self._add(_REQUEST, _request_row(request))

    def resent(self, key: str, batch: str | None = None, *, most_usd: float | None = None) -> None:
        """Counts one more sending of a request, live or in a batch, and the most it can cost."""
        self._add(_RESENT, (batch, most_usd, key))

    def failed(self, key: str, error: str | None = None) -> None:
        """Notes that a request brought no reply, and what came instead."""
        self._add(_FAILED, (error, key))

    def unanswered(self, key: str, error: str | None = None) -> None:
        """Notes that a request was cut off after it was sent, so that it may have been billed."""
        self._add(_UNANSWERED, (error, key))

    def reply(self, request_id: int, status: int, raw: bytes) -> None:
        """Writes a reply down as it came; a second one for the same request changes nothing."""
        self._add(_REPLY, (request_id, status, raw))

    def usage(
        self, request_id: int, prompt_tokens: int, completion_tokens: int, cost_usd: float | None
    ) -> None:
        """Writes down what a reply cost; no dollars where no price is known."""
        self._add(_USAGE, (request_id, prompt_tokens, completion_tokens, cost_usd))

    # --- outcomes ---

    def outcome(self, outcome: Outcome) -> None:
        """Writes down how a job ended, instead of how it ended before."""
        self._add(_OUTCOME, _outcome_row(outcome))

    def judged(self, job_id: str, provenance: bytes) -> None:
        """Writes down a job's provenance (JSON) with the judgement passed since."""
        self._add(_JUDGED, (provenance, job_id))

    def choice(self, made: MadeChoice) -> None:
        """Writes down what a judge chose, instead of what another chose before."""
        self._add(_CHOICE, made.row)

    # --- batches ---

    def batch_planned(self, key: str, role: str, num_requests: int, capabilities: str) -> None:
        """Notes that a batch is about to be sent, and how its requests ask for JSON."""
        self._add(_BATCH, (key, role, num_requests, capabilities))

    def batch_uploaded(self, key: str, file_id: str) -> None:
        """Notes the provider's id of a batch's file."""
        self._add(_BATCH_FILE, (file_id, key))

    def batch_started(self, key: str, batch_id: str | None) -> None:
        """Notes the provider's id of a batch; None where it has to be started anew."""
        self._add(_BATCH_STARTED, (batch_id, key))

    def batch_ended(self, key: str, state: str) -> None:
        """Notes that nothing more is to be had of a batch, and why."""
        self._add(_BATCH_ENDED, (state, key))

    def batch_given_up(self, key: str) -> None:
        """Ends a batch that was never run: no attempt of its requests counts."""
        self._add(_BATCH_UNSENT, (key,))
        self.batch_ended(key, "given_up")

    # --- small facts ---

    def meta(self, name: str, value: str) -> None:
        """Remembers a fact, such as what an endpoint can do."""
        self._add(_META, (name, value))

    def _add(self, statement: str, row: tuple[Value, ...]) -> None:
        if self._error is not None:
            raise self._error
        self._group.rows[statement].append(row)
        self._group.num_rows += 1
        self._wake.set()

    # --- committing ---

    async def flush(self) -> None:
        """Waits until every record added so far is committed.

        Raises:
            LedgerError: They could not be written.
        """
        # Groups are committed one after another, so waiting for the last is enough.
        group = self._group if self._group.num_rows else self._committing
        if group is not None:
            await group.done

    @property
    def is_full(self) -> bool:
        """Whether whoever adds more should wait."""
        return self._group.num_rows >= _FULL_ROWS

    async def close(self) -> None:
        """Commits what is left, then closes the file.

        Raises:
            LedgerError: The last group could not be written.
        """
        self._closing = True
        self._wake.set()
        await self._task
        self._pool.shutdown()
        self._db.close()
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            if not self._closing:
                await asyncio.sleep(GROUP_S)
            group, self._group = self._group, _Group()
            self._wake.clear()
            if group.num_rows:
                self._committing = group
                await self._commit_with_retries(group)
                self._committing = None
            if self._closing:
                if not self._group.num_rows:
                    return
                self._wake.set()

    async def _commit_with_retries(self, group: _Group) -> None:
        loop = asyncio.get_running_loop()
        for delay_s in (*_RETRY_DELAYS_S, None):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                for statement, rows in group.rows.items():
                    if rows:
                        self._db.executemany(statement, rows)
                await loop.run_in_executor(self._pool, self._db.execute, "COMMIT")
            except sqlite3.Error as exc:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                error = ledger_error(self._path, exc)
                self._on_trouble(error)
                if delay_s is not None:
                    await asyncio.sleep(delay_s)
                    continue
                self._error = error
                group.done.set_exception(error)
                group.done.exception()  # waiters may have gone; this is not a lost error
                return
            group.done.set_result(None)
            self._check_space()
            return

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._space_checked_at < _SPACE_CHECK_S:
            return
        self._space_checked_at = now
        free = self._free_bytes(self._path.parent)
        if free < MIN_FREE_BYTES:
            self._on_trouble(
                LedgerError(
                    f"{self._path.parent}: {free / 2**20:.0f} MB of disk space left, at least "
                    f"{MIN_FREE_BYTES / 2**20:.0f} MB are needed. Free some space and run the "
                    "same command again; everything so far is kept."
                )
            )
