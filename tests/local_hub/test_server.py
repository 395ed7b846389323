"""Starting: accounts, addresses, one process a folder, and what is logged."""

import json
import logging
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.local_hub import HubStartError, create_app, serve
from builder.local_hub.server import is_loopback, listen
from tests.hub_server import RunningHub
from tests.local_hub.conftest import PART_BYTES, Caller

START = """
import sys
from pathlib import Path
from builder.local_hub import serve
serve(Path(sys.argv[1]), port=0)
"""


@contextmanager
def started(root: Path, tokens: str | None = None) -> Iterator[list[str]]:
    """Start a Hub as a user would and yield the lines it prints, up to its address."""
    environment = {k: v for k, v in os.environ.items() if k != "HUB_TOKENS"}
    if tokens is not None:
        environment["HUB_TOKENS"] = tokens
    command = [sys.executable, "-c", START, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "HF_ENDPOINT=" not in lines[-1]:
            line = process.stdout.readline()
            assert line, "the Hub did not start"
            lines.append(line.strip())
        try:
            yield lines
        finally:
            process.terminate()


def value(lines: list[str], name: str) -> str:
    (line,) = (line for line in lines if f"{name}=" in line)
    return line.split("=", 1)[1]


def test_first_start_makes_one_token_and_shows_it_once(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    with started(root) as lines:
        token, url = value(lines, "HF_TOKEN"), value(lines, "HF_ENDPOINT")
        with Caller(url, token) as caller:
            assert caller.get("/api/whoami-v2").json()["name"] == "demo"
            caller.create("kept")
        with pytest.raises(HubStartError, match="another process"):
            serve(root, port=0)
    files = [path for path in root.rglob("*") if path.is_file()]
    assert not any(token.encode() in path.read_bytes() for path in files)
    assert stat.S_IMODE((root / "accounts.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "signing-key").stat().st_mode) == 0o600
    with started(root) as lines:
        assert token not in "".join(lines)
        assert "HF_TOKEN" not in "".join(lines)
        assert "not for production" in "".join(lines)
        with Caller(value(lines, "HF_ENDPOINT"), token) as caller:
            assert caller.get("/api/datasets/demo/kept").status_code == 200


def test_accounts_come_from_the_environment(tmp_path: Path) -> None:
    tokens = json.dumps({"hub_ann": ["ann", "write"]})
    with started(tmp_path / "hub", tokens) as lines:
        assert "hub_ann" not in "".join(lines)
        with Caller(value(lines, "HF_ENDPOINT"), "hub_ann") as caller:
            assert caller.get("/api/whoami-v2").json()["name"] == "ann"
    assert not (tmp_path / "hub" / "accounts.json").exists()


def test_listens_beyond_this_machine_only_with_accounts_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUB_TOKENS", raising=False)
    for host in ("0.0.0.0", "::"):
        with pytest.raises(HubStartError, match="HUB_TOKENS"):
            serve(tmp_path / "hub", host=host, port=0)
    monkeypatch.setenv("HUB_TOKENS", '{"t0ken": 1}')
    with pytest.raises(HubStartError) as error:
        serve(tmp_path / "hub", port=0)
    assert "t0ken" not in str(error.value)
    assert is_loopback("127.0.0.1")
    assert is_loopback("localhost")
    assert not (tmp_path / "hub").exists()


def run_hub(*words: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it; it is not expected to serve."""
    environment = {k: v for k, v in os.environ.items() if k != "HUB_TOKENS"}
    return subprocess.run(
        [sys.executable, "-m", "builder", "hub", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_port_in_use_is_one_line_and_shows_no_token_in_vain(
    hub: RunningHub, tmp_path: Path
) -> None:
    port = hub.url.rsplit(":", 1)[1]
    done = run_hub("--root", str(tmp_path / "hub"), "--port", port)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"Port {port} of 127.0.0.1 is already in use" in line and "--port" in line


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70_000), ("127.0.0.1", -1), ("192.0.2.1", 0), ("no.such", 0)]
)
def test_an_address_that_is_not_to_be_had_is_one_line(host: str, port: int, tmp_path: Path) -> None:
    tokens = {"hub_0123456789abcdef": ["ann", "write"]}
    with pytest.raises(HubStartError, match=r"is not available|not an address of this machine"):
        serve(tmp_path / "hub", host=host, port=port, tokens=tokens)


def test_a_root_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "hub").touch()
    with pytest.raises(HubStartError, match="choose another --root"):
        serve(tmp_path / "hub", port=0)


@pytest.mark.parametrize("token", ["", " ", "\t"])
def test_an_empty_token_is_refused_even_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HUB_TOKENS", json.dumps({token: ["ann", "write"]}))
    with pytest.raises(HubStartError, match="a token is empty"):
        serve(tmp_path / "hub", port=0)
    with pytest.raises(ValueError, match="a token is empty"):
        create_app(tmp_path / "hub", {token: ["ann", "write"]})
    assert not (tmp_path / "hub" / "hub.sqlite3").exists()


def test_a_token_that_can_be_guessed_is_refused_beyond_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, short = "hub_0123456789ab", "hub_0123456789a"
    tokens = {long: ["ann", "write"], short: ["bob", "read"]}
    with pytest.raises(HubStartError, match="fewer than 16 characters") as refused:
        serve(tmp_path / "hub", host="0.0.0.0", port=0, tokens=tokens)
    assert short not in str(refused.value)
    assert not (tmp_path / "hub").exists()

    def stop(address: str) -> None:
        raise KeyboardInterrupt

    serve(tmp_path / "hub", host="0.0.0.0", port=0, tokens={long: ["ann", "write"]}, ready=stop)
    serve(tmp_path / "hub", port=0, tokens=tokens, ready=stop)


def test_log_names_requests_but_neither_tokens_nor_tickets(
    hub: RunningHub, owner: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    repo = owner.create("logged")
    owner.upload_lfs(repo, b"content")
    owner.lfs_action(repo, "c" * 64, PART_BYTES * 2, ("multipart",))
    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("builder", "uvicorn.e"))]
    assert any(line.startswith("PUT /lfs/object 200") for line in ours)
    token = owner.client.headers["Authorization"].split()[1]
    assert not any(word in line for line in ours for word in ("ticket", token))
    assert not logging.getLogger("uvicorn.access").propagate, "it would log whole addresses"


def test_a_path_makes_no_log_line_of_its_own(
    hub: RunningHub, owner: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    owner.get("/api/x%0AINFO:builder:forged%1b[31m")
    owner.get("/api/" + "y" * 2_000)

    def logged() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.name == "builder.local_hub.app"]

    deadline = time.monotonic() + 10
    while len(logged()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # a line is written after the client has its answer
    lines = logged()
    assert len(lines) == 2 and all(line.isprintable() for line in lines)
    assert "/api/x%0AINFO" in lines[0]
    assert len(lines[1]) < 400 and "(2005 bytes) 404" in lines[1]


def test_refusal_reaches_a_client_that_is_still_sending(reader: Caller, owner: Caller) -> None:
    repo = owner.create("refusing")
    answer = reader.post(f"/api/datasets/{repo}/commit/main", content=b"x" * 20_000_000)
    assert answer.status_code == 403


def test_connections_send_each_answer_at_once() -> None:
    """Not after 40 ms, when the other side acknowledges the first piece."""
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()[:2]),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
