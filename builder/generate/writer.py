"""Group commits to the ledger: rows wait a few milliseconds for company, then share one fsync."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.generate.ledger import Ledger, LedgerError, ledger_error

#: How long the first row of a group waits for others.
GROUP_S = 0.005
#: Below this much free space nothing more is sent, so that replies in flight still find room.
MIN_FREE_BYTES = 64 * 2**20
_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0)
_SPACE_CHECK_S = 1.0
#: A group of this many rows takes no more without waiting.
_FULL_ROWS = 1_000

_STATEMENTS = {
    "prompt": "INSERT OR IGNORE INTO prompt VALUES (?, ?)",
    "request": "INSERT INTO request (id, key, job_id, kind, prompt_hash, parameters, batch, model) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "resent": "UPDATE request SET num_sent = num_sent + 1, state = 'in_flight' WHERE key = ?",
    "rebatched": "UPDATE request SET num_sent = num_sent + 1, state = 'in_flight', batch = ? "
    "WHERE key = ?",
    "failed": "UPDATE request SET state = 'failed' WHERE key = ?",
    "reply": "INSERT OR IGNORE INTO reply VALUES (?, ?, ?)",
    "usage": "INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?)",
    "outcome": "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "judged": "UPDATE outcome SET provenance = ? WHERE job_id = ?",
    "batch": "INSERT INTO batch (key, role, state, num_requests, abilities) "
    "VALUES (?, ?, 'open', ?, ?)",
    "unsent": "UPDATE request SET num_sent = num_sent - 1, state = 'failed' WHERE batch = ?",
    "batch_file": "UPDATE batch SET file_id = ? WHERE key = ?",
    "batch_started": "UPDATE batch SET batch_id = ? WHERE key = ?",
    "batch_over": "UPDATE batch SET state = ? WHERE key = ?",
    "meta": "INSERT OR REPLACE INTO meta VALUES (?, ?)",
}


def free_bytes(directory: Path) -> int:
    """Space an ordinary process may still use on the file system of `directory`."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


@dataclass(slots=True)
class _Group:
    """Rows that will share one commit, by statement in the order they are to be written."""

    rows: dict[str, list[tuple[Any, ...]]] = field(
        default_factory=lambda: {kind: [] for kind in _STATEMENTS}
    )
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    num_rows: int = 0


class LedgerWriter:
    """Takes rows from the event loop and commits them in groups.

    Rows are handed to SQLite on the loop, which costs microseconds; the
    commit with its fsync runs in a thread. A group that cannot be written is
    tried again a few times before its waiters are told, so that a disk freed
    in time loses nothing.

    Args:
        ledger: The ledger to write to.
        on_trouble: Called once when sending must stop: no space, or a failed commit.
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
        self._writing: _Group | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._error: LedgerError | None = None
        self._space_checked_at = 0.0
        self._task = asyncio.create_task(self._run())

    async def add(self, kind: str, *row: Any) -> None:
        """Adds a row and waits until it is committed.

        Raises:
            LedgerError: It could not be written.
        """
        self.post(kind, *row)
        await self._group.done

    def post(self, kind: str, *row: Any) -> None:
        """Adds a row without waiting; it rides with the next group.

        Raises:
            LedgerError: An earlier group could not be written.
        """
        if self._error is not None:
            raise self._error
        self._group.rows[kind].append(row)
        self._group.num_rows += 1
        self._wake.set()

    async def flush(self) -> None:
        """Waits until every row added so far is committed.

        Raises:
            LedgerError: They could not be written.
        """
        if self._group.num_rows:
            await self._group.done
        if self._writing is not None:
            await self._writing.done

    @property
    def is_full(self) -> bool:
        """Whether whoever adds more should wait."""
        return self._group.num_rows >= _FULL_ROWS

    def take_request_id(self) -> int:
        taken = self._next_id
        self._next_id += 1
        return taken

    async def close(self) -> None:
        """Commits what waits, then lets go of the file.

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
                self._writing = group
                await self._commit_with_patience(group)
                self._writing = None
            if self._closing:
                if not self._group.num_rows:
                    return
                self._wake.set()

    async def _commit_with_patience(self, group: _Group) -> None:
        loop = asyncio.get_running_loop()
        for delay_s in (*_RETRY_DELAYS_S, None):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                for kind, rows in group.rows.items():
                    if rows:
                        self._db.executemany(_STATEMENTS[kind], rows)
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
                    f"{self._path.parent}: {free / 2**20:.0f} MB of disk space left, "
                    f"{MIN_FREE_BYTES / 2**20:.0f} MB are wanted. Free some space and run the "
                    "same command again; everything so far is kept."
                )
            )
