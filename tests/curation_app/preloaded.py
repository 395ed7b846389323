"""Starts the review server without importing Gradio each time: that takes 9 s of CPU.

Run as a program it is the parent of all servers: it imports what they need once, then forks one
process for each line it reads. A server so started is the same program in a process of its own.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

_MODULES = ("curation_app.cli", "curation_app.web.app", "curation_app.web.server", "gradio")


class PreloadedProcess:
    """`python -m curation_app …`, forked.

    Args:
        arguments: Of the command line.
        output: File that stdout goes to.
        log: File that stderr is added to.
        environment: Variables that differ from this process's.
    """

    def __init__(
        self, arguments: Sequence[str], output: Path, log: Path, environment: dict[str, str]
    ) -> None:
        parent = _parent()
        assert parent.stdin is not None and parent.stdout is not None
        files = {"output": str(output), "log": str(log)}
        request = {"arguments": list(arguments), "environment": environment, **files}
        parent.stdin.write(json.dumps(request) + "\n")
        parent.stdin.flush()
        self.pid = int(parent.stdout.readline())
        self._pidfd = os.pidfd_open(self.pid)

    def end(self, how: signal.Signals, timeout_s: float = 30.0) -> float:
        """Sends a signal; returns the seconds until the process was gone."""
        begin = time.monotonic()
        signal.pidfd_send_signal(self._pidfd, how)
        assert self.is_over(timeout_s), "the server does not end"
        os.close(self._pidfd)
        return time.monotonic() - begin

    def is_over(self, timeout_s: float = 0.0) -> bool:
        return bool(select.select([self._pidfd], [], [], timeout_s)[0])


@cache
def _parent() -> subprocess.Popen[str]:
    """Ends with this process, as its input does."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.curation_app.preloaded"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _fork_servers() -> None:
    for module in _MODULES:
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _serve(**json.loads(line))
        print(pid, flush=True)


def _serve(arguments: list[str], environment: dict[str, str], output: str, log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(environment)
    for number, path, flags in ((0, os.devnull, 0), (1, output, os.O_TRUNC), (2, log, os.O_APPEND)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600), number)
    sys.argv = ["curation_app", *arguments]
    from curation_app.cli import main

    main()
    os._exit(0)


if __name__ == "__main__":
    _fork_servers()
