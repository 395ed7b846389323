"""How much each worker did, and how fast."""

import os
import socket
from collections import Counter
from dataclasses import dataclass, field


def worker_name() -> str:
    """The process a chunk runs in, unlike all others of a cluster."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class WorkerRates:
    """Items and seconds of each worker."""

    num_items: Counter[str] = field(default_factory=Counter)
    busy_s: Counter[str] = field(default_factory=Counter)

    def add(self, worker: str, num_items: int, seconds: float) -> None:
        """Counts a chunk."""
        self.num_items[worker] += num_items
        self.busy_s[worker] += seconds  # pyright: ignore[reportArgumentType]  # a float adds up too

    def line(self, what: str) -> str | None:
        """For a summary: workers, items, and the range of their rates; None if none did any."""
        rates = sorted(
            number / self.busy_s[worker]
            for worker, number in self.num_items.items()
            if self.busy_s[worker] > 0
        )
        if not rates:
            return None
        shown = f"{rates[0]:,.0f}" if len(rates) == 1 else f"{rates[0]:,.0f} to {rates[-1]:,.0f}"
        return (
            f"{len(rates)} worker{'s' if len(rates) > 1 else ''}: {self.num_items.total():,} "
            f"{what}, {shown} per second each"
        )
