"""Each host gets few requests at once and the pauses it asks for, and is given up when down."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: Attempts in a row without an answer after which a host is not asked any more.
_MAX_FAILURES = 4
_MAX_GAP_S = 10.0


class HostDownError(Exception):
    """The host gave no answer several times in a row."""


class Host:
    """One host's requests.

    Args:
        max_open: Requests to it at once.
        open_slots: Requests to all hosts at once.
    """

    def __init__(self, max_open: int, open_slots: asyncio.Semaphore) -> None:
        self._slots = asyncio.Semaphore(max_open)
        self._open_slots = open_slots
        self._num_failures = 0
        self._not_before = 0.0
        self._gap_s = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits for a turn.

        Raises:
            HostDownError: It is down.
        """
        async with self._slots:
            self._require_up()
            wait = self._not_before - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if self._gap_s:
                self._not_before = time.monotonic() + self._gap_s
            async with self._open_slots:
                self._require_up()
                yield

    def pause(self, seconds: float) -> None:
        """Sends nothing for some seconds, as the host asked."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def keep_gap(self, seconds: float | None) -> None:
        """Starts requests no faster than this, as its robots.txt asks."""
        self._gap_s = min(_MAX_GAP_S, max(0.0, seconds or 0.0))

    def answered(self) -> None:
        self._num_failures = 0

    def failed(self) -> None:
        self._num_failures += 1

    def _require_up(self) -> None:
        if self._num_failures >= _MAX_FAILURES:
            raise HostDownError
