"""Tries again while a Hub is unreachable, and says so before each wait."""

import time
from collections.abc import Callable
from typing import TypeVar

from builder.publish.errors import UnreachableError

Result = TypeVar("Result")

#: Attempts if the user names no number: waits of 1, 2, 4 and 8 seconds, besides the client's own.
ATTEMPTS = 5
_MAX_WAIT_S = 60.0


def retry_while_unreachable(
    act: Callable[[], Result],
    *,
    attempts: int = ATTEMPTS,
    say: Callable[[str], None] = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Calls `act` again while the Hub is unreachable, after waits that double or that it asks for.

    Args:
        act: May be called again after any failure.
        attempts: Number of calls, at least 1.
        say: Called with a line before each wait: what happened, and when it goes on.
        sleep: Waits between attempts.

    Raises:
        UnreachableError: The last attempt failed as well.
    """
    for attempt in range(1, attempts):
        try:
            return act()
        except UnreachableError as exc:
            wait_s = min(_MAX_WAIT_S, exc.retry_after_s or 2.0 ** (attempt - 1))
            say(f"{exc.what} Trying again in {wait_s:.0f} s, attempt {attempt + 1} of {attempts}.")
        sleep(wait_s)
    try:
        return act()
    except UnreachableError as exc:
        raise exc.after(attempts) from exc
