"""Child processes that end with the demo, even when it is killed outright."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: has Linux send the child a signal when this process ends.

    Other systems have no such thing; there the child lives on.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it ended before it was asked for
            os._exit(1)

    return ask
