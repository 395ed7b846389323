"""The two embedded servers of the demo, as processes that end with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from builder.demo.processes import end_with_parent
from schemas.errors import PolysceneError

_START_TIMEOUT_S = 60.0


class ServiceError(PolysceneError):
    """An embedded server did not start or ended early."""


def free_port() -> int:
    """A port nobody listens on just now, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    name: str, arguments: list[str], port: int, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `python -m builder ARGUMENTS` until the block ends.

    Args:
        name: What to call the server in errors.
        arguments: Its command line.
        port: The port it will listen on; the block begins once it does.
        log: File for all it prints.
        environment: Variables on top of this process's own.

    Raises:
        ServiceError: It ended, or did not listen within a minute; names the log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "builder", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGTERM),
        )
    try:
        _wait_until_listening(name, process, port, log)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running_hub(name: str, root: Path, port: int, token: str, log: Path) -> Iterator[str]:
    """Runs an embedded Hub with one account, `demo`; yields its URL.

    Raises:
        ServiceError: As `running` does.
    """
    arguments = ["hub", "--port", str(port), "--root", str(root)]
    accounts = {"HUB_TOKENS": orjson.dumps({token: ["demo", "write"]}).decode()}
    with running(name, arguments, port, log, accounts):
        yield f"http://127.0.0.1:{port}"


def _wait_until_listening(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path
) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the {name} ended with code {process.returncode}; see {log}.")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise ServiceError(f"the {name} did not listen within {_START_TIMEOUT_S:.0f} s; see {log}.")
