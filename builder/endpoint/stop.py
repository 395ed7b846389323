"""The one way a run ends before its work is done."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from schemas.errors import PolysceneError

T = TypeVar("T")


class Stopped(Exception):
    """The run is stopping: nothing more is to be sent."""


class Stop:
    """Whether a run is stopping, why, and what may still be done.

    Whatever ends a run early calls `set`: a signal, a budget, a full disk, an
    endpoint that is given up. Whoever sends asks `check` before and waits by
    `sleep` or `unless_set`; all three raise `Stopped`. Calls in flight end by
    themselves, for they are paid. Used from one event loop.

    Example:
        stop = Stop()
        loop.add_signal_handler(signal.SIGINT, stop.set)
        ...
        stop.check()  # raises Stopped after the signal
    """

    def __init__(self) -> None:
        self.is_set = False
        #: Whether a signal asked for it, at first or later.
        self.is_interrupted = False
        #: What went wrong first, if anything did.
        self.error: PolysceneError | None = None
        #: Parts of the run that stop with it.
        self.children: list[Stop] = []
        self._may_collect = False
        self._waiting: set[asyncio.Future[None]] = set()

    def set(self, error: PolysceneError | None = None, *, may_collect: bool = False) -> None:
        """Stops sending; the first call decides what may still be done.

        Args:
            error: What went wrong; None for a signal.
            may_collect: Whether batches that were paid for are still sent and
                waited for, as when a budget leaves no room for more.
        """
        self.is_interrupted = self.is_interrupted or error is None
        self.error = self.error or error
        if self.is_set:
            return
        self.is_set = True
        self._may_collect = may_collect
        for future in self._waiting:
            if not future.done():
                future.set_exception(Stopped())
        for child in self.children:
            child.set(error, may_collect=may_collect)

    async def while_useful(self, call: Awaitable[T]) -> T:
        """Waits for a call under way, which ends by itself."""
        return await call

    def check(self) -> None:
        """Raises `Stopped` where nothing more may be sent."""
        if self.is_set:
            raise Stopped

    def check_collecting(self) -> None:
        """Raises `Stopped` where batches are to be left at the provider."""
        if self.is_set and not self._may_collect:
            raise Stopped

    async def unless_set(self, future: asyncio.Future[None]) -> None:
        """Waits for a future.

        Raises:
            Stopped: The run stops first.
        """
        self.check()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    async def sleep(self, seconds: float) -> None:
        """Waits so long.

        Raises:
            Stopped: The run stops first.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(seconds, _end, future)
        try:
            await self.unless_set(future)
        finally:
            timer.cancel()


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
