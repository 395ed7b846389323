"""How many bytes of a publication, a pull or a download were moved so far."""

from collections.abc import Callable
from threading import Lock

from builder.progress import Progress

#: Stages that count bytes; the others count rows.
BYTE_STAGES = frozenset({"checking", "uploading", "downloading"})


class ByteCount:
    """Bytes of one stage, which several threads move; never goes back, nor beyond the total.

    Args:
        progress: Called at every step.
        stage: The stage's name.
        total: Bytes in all.
    """

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._report: Callable[[int], None] = lambda done: progress(stage, done, total)
        self._total = total
        self._done = 0
        self._lock = Lock()
        self._report(0)

    def add(self, num_bytes: int) -> None:
        """Counts bytes that were moved just now."""
        with self._lock:
            self._reach(self._done + num_bytes)

    def reach(self, num_bytes: int) -> None:
        """Counts up to a number of bytes since the beginning."""
        with self._lock:
            self._reach(num_bytes)

    def _reach(self, num_bytes: int) -> None:
        done = min(num_bytes, self._total)
        if done > self._done:
            self._done = done
            self._report(done)
