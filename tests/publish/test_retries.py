"""A Hub that dies in the middle of an upload: tried again, in words, and never half published."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import close_session, constants

from builder.publish import DatasetRepo, UnreachableError, limit_waiting, publish
from builder.publish.retry import retry_while_unreachable
from builder.workspace import Workspace
from tests.hub_server import WRITE_TOKEN, RunningHub
from tests.publish.conftest import FIRST, check_published, repo_named, the_release
from tests.publish.faulty_hub import Fault, FaultyHub

# The official client uploads with a keyword its own HTTP library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, faulty: FaultyHub) -> Iterator[None]:
    """Short waits inside the official client, and no fault left over."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    limit_waiting(5.0)
    yield
    faulty.fault = None
    close_session()


@contextmanager
def resetting_proxy(url: str, after_bytes: int, times: int) -> Iterator[str]:
    """Passes connections on to a server, and resets the first large ones in mid-upload.

    Args:
        url: The server.
        after_bytes: What a client may send on one connection before it is reset.
        times: How many connections are reset; those with less pass.
    """
    target = urlsplit(url)
    left = [times]
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = [listener]

    def pump(source: socket.socket, sink: socket.socket, upwards: bool) -> None:
        num_bytes = 0
        with suppress(OSError):
            while data := source.recv(65536):
                num_bytes += len(data)
                if upwards and num_bytes > after_bytes and left[0] > 0:
                    left[0] -= 1
                    linger = struct.pack("ii", 1, 0)  # closing now sends a reset
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    source.close()
                    break
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def start(target: Callable[..., None], *arguments: object) -> None:
        threads.append(threading.Thread(target=target, args=arguments))
        threads[-1].start()

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((target.hostname or "", target.port or 0))
                sockets.extend((client, server))
                start(pump, client, server, True)
                start(pump, server, client, False)

    start(serve)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for opened in sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        for thread in threads:
            thread.join(5)


@pytest.mark.parametrize("times", [2, 1000])
def test_a_connection_reset_in_mid_upload(
    hub: RunningHub,
    releases: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    name = f"demo/reset-{times}"
    lines: list[str] = []
    with resetting_proxy(hub.url, 20_000, times) as url:
        repo = DatasetRepo(name, url, WRITE_TOKEN, tmp_path / "cache")
        if times == 2:
            publish(the_release(releases), repo, attempts=4, say=lines.append, sleep=lambda s: None)
        else:
            with pytest.raises(UnreachableError) as failed:
                publish(
                    the_release(releases), repo, attempts=3, say=lines.append, sleep=lambda s: None
                )
            said = str(failed.value)
            assert "It was tried 3 times. Run the same command again" in said
            assert len(said.splitlines()) == 1 and WRITE_TOKEN not in said
            assert len(lines) == 2 and "Trying again in 1 s, attempt 2 of 3." in lines[0]
    close_session()
    seen = DatasetRepo(name, hub.url, WRITE_TOKEN, tmp_path / "seen")
    if times == 2:
        check_published(seen, the_release(releases))
    else:
        assert not seen.refs().tags and len(seen.commits()) == 1, "nothing is half published"


@pytest.mark.parametrize("kind", ["502", "503", "504", "reset"])
@pytest.mark.parametrize("xet", [True, False], ids=["xet", "lfs"])
def test_uploads_that_fail_are_tried_as_often_as_asked(
    hub: RunningHub,
    faulty: FaultyHub,
    releases: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    xet: bool,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
    repo = repo_named(hub, f"upload-{kind}-{xet}", tmp_path)
    lines: list[str] = []
    faulty.fault = Fault(r"POST /xet/.*/shards" if xet else r"PUT ", kind, times=10_000)
    with pytest.raises(UnreachableError, match="It was tried 2 times") as failed:
        publish(the_release(releases), repo, attempts=2, say=lines.append, sleep=lambda s: None)
    assert len(lines) == 1 and repo.repo_id in lines[0]
    assert len(str(failed.value).splitlines()) == 1
    faulty.fault = None
    close_session()
    assert FIRST not in repo.refs().tags and len(repo.commits()) == 1
    publish(the_release(releases), repo)
    check_published(repo, the_release(releases))


def test_waits_double_or_are_those_the_hub_asks_for() -> None:
    waits: list[float] = []
    lines: list[str] = []
    asked = iter([None, None, 7.0, 900.0, None])

    def act() -> None:
        raise UnreachableError("it is down.", next(asked))

    with pytest.raises(UnreachableError, match=r"^it is down\. It was tried 5 times\. Run the"):
        retry_while_unreachable(act, attempts=5, say=lines.append, sleep=waits.append)
    assert waits == [1.0, 2.0, 7.0, 60.0]
    assert lines[2] == "it is down. Trying again in 7 s, attempt 4 of 5."
