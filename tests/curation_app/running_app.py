"""The review server as a user starts it, in a process of its own on a free port."""

import re
import signal
import time
from pathlib import Path

from curation_app.store import ReviewStore
from schemas.review import ReviewEvent
from tests.curation_app.preloaded import PreloadedProcess

_START_TIMEOUT_S = 90.0


class RunningApp:
    """`curation_app serve`; `start` after `kill` comes back at the same address.

    Args:
        release: The release directory.
        store: The review store.
    """

    def __init__(self, release: Path, store: Path) -> None:
        self.release = release
        self.store = store
        self.url = ""
        self._port = 0
        self._process: PreloadedProcess | None = None

    def start(self) -> None:
        output, log = self.store.with_suffix(".out"), self.store.with_suffix(".log")
        output.unlink(missing_ok=True)
        options = {"--dataset": self.release, "--store": self.store, "--port": self._port}
        arguments = ["serve", *(str(word) for option in options.items() for word in option)]
        environment = {"XDG_CACHE_HOME": str(self.store.parent / "cache")}
        self._process = PreloadedProcess(arguments, output, log, environment)
        line = self._first_line(output)
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, f"no address: {line!r}; {log.read_text()}"
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
        return process.end(how) if process else 0.0

    def _first_line(self, output: Path) -> str:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and not process.is_over(timeout_s=0.02):
            text = output.read_text() if output.exists() else ""
            if "\n" in text:
                return text.partition("\n")[0]
        return ""
