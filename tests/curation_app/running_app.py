"""The review server as a user starts it, in a process of its own on a free port."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from curation_app.store import ReviewStore
from schemas.review import ReviewEvent

_START_TIMEOUT_S = 90.0


class RunningApp:
    """`python -m curation_app serve`; `start` after `kill` comes back at the same address.

    Args:
        release: The release directory.
        store: The review store.
    """

    def __init__(self, release: Path, store: Path) -> None:
        self.release = release
        self.store = store
        self.url = ""
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "curation_app", "serve", "--dataset", str(self.release)]
        command += ["--store", str(self.store), "--port", str(self._port)]
        log = self.store.with_suffix(".log").open("a")
        with log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={
                    **os.environ,
                    "HF_HUB_OFFLINE": "1",
                    "XDG_CACHE_HOME": str(self.store.parent / "cache"),
                },
            )
        line = self._first_line()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, f"no address: {line!r}; {self.store.with_suffix('.log').read_text()}"
        self.url, self._port = found[0], int(found[1])

    def kill(self) -> None:
        """SIGKILL: nothing is put in order."""
        self._end(signal.SIGKILL)

    def stop(self) -> float:
        """SIGTERM; returns the seconds until the process was gone."""
        return self._end(signal.SIGTERM)

    def events(self) -> list[ReviewEvent]:
        with ReviewStore(self.store) as store:
            return list(store.events())

    def _end(self, how: signal.Signals) -> float:
        process, self._process = self._process, None
        if process is None:
            return 0.0
        begin = time.monotonic()
        process.send_signal(how)
        process.communicate(timeout=30)
        return time.monotonic() - begin

    def _first_line(self) -> str:
        process = self._process
        assert process is not None and process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True)
        reader.start()
        return lines.get(timeout=_START_TIMEOUT_S)
