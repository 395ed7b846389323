"""A real Hub on loopback for tests, in a thread or in a process of its own."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

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


@dataclass
class RunningHub:
    """A served Hub: its address, its folder, and every request it got as `"GET /path"`."""

    url: str
    root: Path
    requests: list[str] = field(default_factory=list)

    def num_requests(self) -> Counter[str]:
        """How often each method was used."""
        return Counter(request.split(" ", 1)[0] for request in self.requests)


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
