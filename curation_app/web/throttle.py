"""Slows down guessing: a delay that grows with each failure, by name and by address."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from threading import Lock

_MAX_ENTRIES = 10_000
_MAX_KEY_CHARS = 80
_FORGET_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Limit:
    """Failures that cost nothing, and the longest delay after those that do."""

    num_free: int
    max_delay_s: float


#: A name's delay stays short, or a stranger could keep its owner out by failing for them.
NAME_LIMIT = Limit(num_free=4, max_delay_s=60.0)
ADDRESS_LIMIT = Limit(num_free=20, max_delay_s=600.0)


class Throttle:
    """Failed attempts by key, in memory; the oldest are forgotten first.

    An attempt counts as failed from its beginning until `succeeded`, so that
    many at once do not slip through together.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def attempt(self, name: str, address: str) -> float:
        """Begins an attempt; seconds to wait where it comes too early, else 0."""
        now = self._clock()
        keys = {_name_key(name): NAME_LIMIT, f"from {_network(address)}": ADDRESS_LIMIT}
        with self._lock:
            wait_s = max(self._wait_s(key, limit, now) for key, limit in keys.items())
            if wait_s <= 0:
                for key in keys:
                    num_failures = self._num_failures(key, now)
                    self._failures[key] = num_failures + 1, now
                    self._failures.move_to_end(key)
                while len(self._failures) > _MAX_ENTRIES:
                    self._failures.popitem(last=False)
        return max(0.0, wait_s)

    def succeeded(self, name: str, address: str) -> None:
        """Forgets the name's failures, and the one of this attempt for the address."""
        with self._lock:
            self._failures.pop(_name_key(name), None)
            key = f"from {_network(address)}"
            num_failures, last = self._failures.get(key, (0, 0.0))
            if num_failures > 1:
                self._failures[key] = num_failures - 1, last
            else:
                self._failures.pop(key, None)

    def _num_failures(self, key: str, now: float) -> int:
        num_failures, last = self._failures.get(key, (0, now))
        return 0 if now - last > _FORGET_S else num_failures

    def _wait_s(self, key: str, limit: Limit, now: float) -> float:
        num_paid = self._num_failures(key, now) - limit.num_free
        if num_paid < 0:
            return 0.0
        delay_s = min(2.0 ** min(num_paid, 30), limit.max_delay_s)
        return self._failures[key][1] + delay_s - now


def _name_key(name: str) -> str:
    return f"name {name[:_MAX_KEY_CHARS].casefold()}"


def _network(address: str) -> str:
    """An IPv6 address by its /64, which one household or attacker has whole."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:_MAX_KEY_CHARS]
    return str(ip_network(f"{address}/64", strict=False)) if found.version == 6 else str(found)
