"""An ASGI app behind a real socket in this process, and requests to it byte by byte."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import uvicorn
from starlette.types import ASGIApp

from curation_app.web.server import bind, make_config


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def cookie(self, start: str) -> str:
        """The `name=value` of a cookie it sets whose name starts so."""
        found = SimpleCookie(self.headers["set-cookie"])
        return next(f"{name}={found[name].value}" for name in found if name.startswith(start))


class Client:
    """Asks one server; every header is as the caller gives it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.host = f"127.0.0.1:{port}"

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Host": self.host, **(headers or {})}
        is_chunked = body is not None and not isinstance(body, bytes)
        if is_chunked:
            sent["Transfer-Encoding"] = "chunked"
        connection.request(method, path, body, sent, encode_chunked=is_chunked)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, found, response.read())
        connection.close()
        return answer

    def post_json(self, path: str, body: bytes, **headers: str) -> Answer:
        kind = {"content-type": "application/json"}
        return self.ask(path, method="POST", body=body, headers={**kind, **headers})

    def post_form(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        return self.ask(path, method="POST", body=body, headers={**kind, **headers})


@contextmanager
def serving(app: ASGIApp) -> Iterator[Client]:
    """Serves an app on a free port, as `serve` does, until the block ends."""
    with bind("127.0.0.1", 0) as listener:
        server = uvicorn.Server(make_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.01)
        try:
            yield Client(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(10)
