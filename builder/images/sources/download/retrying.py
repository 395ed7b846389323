"""Which answers may be better another time, and when to ask again."""

import time
from email.utils import parsedate_to_datetime

#: Statuses that pass: too many requests, or a server in trouble.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Hosts that ask for a longer pause are left for another run.
MAX_WAIT_S = 60.0
_FIRST_WAIT_S = 0.5


def retry_wait_s(attempt: int, asked_s: float | None, header: str | None = None) -> float | None:
    """Seconds to wait before the next try; None if it is too long to wait.

    Args:
        attempt: Tries so far, from 0.
        asked_s: What the host asked for, if it was read before.
        header: Its `Retry-After`, in seconds or as a date.
    """
    wait = asked_s if header is None else _seconds(header)
    if wait is None:
        wait = _FIRST_WAIT_S * 4**attempt
    return wait if wait <= MAX_WAIT_S else None


def _seconds(header: str) -> float | None:
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
