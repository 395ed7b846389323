"""How far a publication, a pull or a download is, told while it goes on."""

from collections.abc import Callable
from threading import Lock
from typing import Protocol

#: Stages that count bytes; the others count rows.
BYTE_STAGES = frozenset({"checking", "uploading", "downloading"})


class Progress(Protocol):
    """Hears which stage runs, and how much of how much is done; a stage may begin again."""

    def __call__(self, stage: str, done: int, total: int, /) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Progress nobody looks at."""


class ByteCount:
    """Bytes of one stage, which several threads move; never goes back, nor beyond the total.

    Args:
        progress: Hears of every step.
        stage: The stage's name.
        total: Bytes in all.
    """

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._tell: Callable[[int], None] = lambda done: progress(stage, done, total)
        self._total = total
        self._done = 0
        self._lock = Lock()
        self._tell(0)

    def add(self, num_bytes: int) -> None:
        """So many more."""
        with self._lock:
            self._reach(self._done + num_bytes)

    def reach(self, num_bytes: int) -> None:
        """So many since the beginning."""
        with self._lock:
            self._reach(num_bytes)

    def _reach(self, num_bytes: int) -> None:
        done = min(num_bytes, self._total)
        if done > self._done:
            self._done = done
            self._tell(done)
