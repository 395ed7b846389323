"""A web server on loopback whose paths misbehave, each in its own way."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.images.conftest import encode_noise


class PictureServer(ThreadingHTTPServer):
    """Serves pictures and faults; counts requests by path.

    Args:
        address: Of loopback.
        robots: Its robots.txt; None if it has none, an int for that status.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str = "127.0.0.1", robots: str | int | None = None) -> None:
        super().__init__((address, 0), _Handler)
        self.robots = robots
        self.redirect_to = ""
        self.requests: Counter[str] = Counter()
        self.times: list[float] = []
        self.num_open = 0
        self.most_open = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Clients hang up on some of these paths."""


class _Handler(BaseHTTPRequestHandler):
    server: PictureServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.requests[self.path] += 1
            server.times.append(time.monotonic())
            server.num_open += 1
            server.most_open = max(server.most_open, server.num_open)
        try:
            self._answer(self.path.strip("/").split("/"))
        finally:
            with server.lock:
                server.num_open -= 1

    def _answer(self, parts: list[str]) -> None:
        kind, number = parts[0], int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
        before = self.server.requests[self.path]
        if kind == "robots.txt":
            robots = self.server.robots
            if isinstance(robots, str):
                self._send(200, robots.encode())
            else:
                self._send(robots or 404, b"")
        elif kind == "ok":
            self._send(200, encode_noise(number, "JPEG"), {"Content-Type": "text/html"})
        elif kind == "slow":
            time.sleep(0.1)
            self._send(200, encode_noise(number, "JPEG"))
        elif kind == "status":
            self._send(number, b"")
        elif kind == "later":  # 429 or 503 first, then the picture
            if before == 1:
                self._send(number, b"", {"Retry-After": "1"})
            else:
                self._send(200, encode_noise(number, "JPEG"))
        elif kind == "much-later":
            self._send(503, b"", {"Retry-After": "86400"})
        elif kind == "page":
            self._send(200, b"<html>not here", {"Content-Type": "image/jpeg"})
        elif kind == "noai":
            self._send(200, encode_noise(number, "JPEG"), {"X-Robots-Tag": "noai, noimageai"})
        elif kind == "redirect":
            self._send(302, b"", {"Location": self.server.redirect_to})
        elif kind == "hop":
            self._send(301, b"", {"Location": f"/hop/{number - 1}" if number else "/ok/77"})
        elif kind == "hang":
            self.server.closing.wait(30)
        elif kind == "drip":
            self._drip()
        elif kind == "huge":
            self._huge()
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"\xff\xd8\xff")
            self.close_connection = True
        else:
            self._send(404, b"")

    def _drip(self) -> None:
        """A byte now and then, for ever."""
        self.send_response(200)
        self.end_headers()
        while not self.server.closing.wait(0.1):
            self.wfile.write(b"x")
            self.wfile.flush()

    def _huge(self) -> None:
        """No length is said, and it does not end."""
        self.send_response(200)
        self.end_headers()
        while not self.server.closing.is_set():
            self.wfile.write(bytes(100_000))

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(address: str = "127.0.0.1", robots: str | int | None = None) -> Iterator[PictureServer]:
    with PictureServer(address, robots) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
