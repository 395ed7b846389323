"""A real Hub on loopback for tests, in a thread or in a process of its own."""

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from builder.local_hub import Limits, create_app
from builder.local_hub.server import listen, make_server

WRITE_TOKEN = "hub_write_demo"
READ_TOKEN = "hub_read_demo"
OTHER_TOKEN = "hub_write_other"
TOKENS: dict[str, list[str]] = {
    WRITE_TOKEN: ["demo", "write"],
    READ_TOKEN: ["demo", "read"],
    OTHER_TOKEN: ["other", "write"],
}
START_TIMEOUT_S = 20.0

Fault = int | Literal["reset", "lost"]


@dataclass
class RunningHub:
    """A served Hub: its address, its folder, and every request it got as `"GET /path"`."""

    url: str
    root: Path
    requests: list[str] = field(default_factory=list)

    def num_requests(self) -> Counter[str]:
        """How often each method was used."""
        return Counter(request.split(" ", 1)[0] for request in self.requests)


class Faults:
    """Wraps a Hub's application and fails chosen requests: `running_hub(wrap=faults.wrap)`."""

    def __init__(self) -> None:
        self._planned: list[tuple[re.Pattern[str], Fault]] = []

    def plan(self, pattern: str, fault: Fault, times: int = 1) -> None:
        """Let the next requests fail whose `"METHOD /path"` the pattern is found in.

        Args:
            pattern: A regular expression, for example `"POST .*/commit/"`.
            fault: A status to answer with instead of asking the Hub; `"reset"` to break the
                connection off before asking it; `"lost"` to do so after it has done its work.
            times: How many requests fail.
        """
        self._planned.extend((re.compile(pattern), fault) for _ in range(times))

    def num_planned(self) -> int:
        """How many faults are still to come."""
        return len(self._planned)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The application with its faults."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            fault = None
            if scope["type"] == "http":
                fault = self._take(f"{scope['method']} {scope['raw_path'].decode()}")
            if fault is None:
                await app(scope, receive, send)
            elif isinstance(fault, int):
                await _read_all(receive)
                headers = [(b"content-type", b"application/json"), (b"content-length", b"20")]
                await send({"type": "http.response.start", "status": fault, "headers": headers})
                await send({"type": "http.response.body", "body": b'{"error": "a fault"}'})
            else:
                if fault == "lost":
                    await app(scope, receive, _swallow)
                headers = [(b"content-length", b"1000")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                # Returning with the body unsent makes the server close the connection.

        return faulty

    def _take(self, request: str) -> Fault | None:
        for number, (pattern, fault) in enumerate(self._planned):
            if pattern.search(request):
                del self._planned[number]
                return fault
        return None


async def _read_all(receive: Receive) -> None:
    while (await receive()).get("more_body", False):
        pass


async def _swallow(_message: Message) -> None:
    pass


@contextmanager
def running_hub(
    root: Path,
    *,
    tokens: Mapping[str, Sequence[str]] | None = None,
    limits: Limits | None = None,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[RunningHub]:
    """Serve a Hub from a thread of this process.

    Args:
        root: The storage folder, for example `tmp_path / "hub"`.
        tokens: Accounts; `TOKENS` if left out.
        limits: Sizes, for example a small `part_bytes` to provoke multipart uploads.
        wrap: Puts another ASGI application around the Hub's, to fail chosen requests.
    """
    requests: list[str] = []
    app = wrap(create_app(root, TOKENS if tokens is None else tokens, limits))

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            requests.append(f"{scope['method']} {scope['raw_path'].decode()}")
        await app(scope, receive, send)

    started = threading.Event()
    address: list[str] = []

    def ready(url: str) -> None:
        address.append(url)
        started.set()

    listener = listen("127.0.0.1", 0)
    server = make_server(counted, listener, ready)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert started.wait(START_TIMEOUT_S), "the Hub did not start"
        yield RunningHub(address[0], root, requests)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


_SERVE = """
import json, sys
from pathlib import Path
from typing import Literal
from builder.local_hub import serve
serve(Path(sys.argv[1]), port=int(sys.argv[2]), tokens=json.loads(sys.argv[3]),
      ready=lambda url: print(url, flush=True))
"""


@contextmanager
def hub_process(root: Path, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a Hub from a process of its own, which a test may kill; yields its address."""
    command = [sys.executable, "-c", _SERVE, str(root), str(port), json.dumps(TOKENS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "the Hub did not start"
        yield url, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def client_environment(
    url: str, home: Path, token: str | None = WRITE_TOKEN, *, xet: bool = False
) -> dict[str, str]:
    """The environment of a client process: this Hub, a cache of its own, no other settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    settings = {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    if not xet:
        settings["HF_HUB_DISABLE_XET"] = "1"
    if token is not None:
        settings["HF_TOKEN"] = token
    return {**kept, **settings}


def run_client(
    script: str,
    url: str,
    home: Path,
    *arguments: str,
    token: str | None = WRITE_TOKEN,
    xet: bool = False,
) -> str:
    """Run a Python script as a client of the Hub and return what it printed.

    Clients read their environment when they are imported, so each needs a process.
    """
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=client_environment(url, home, token, xet=xet),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
