"""Puts a wrapper around the Hub that fails chosen requests in chosen ways."""

import asyncio
import re
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a fault does: a status, or the way the connection dies.
KINDS = ("500", "503", "412", "409", "429", "timeout", "reset", "reset_after")


@dataclass
class Fault:
    """Fails the next `times` requests whose "METHOD path" matches.

    `timeout` stays silent for longer than the client waits; `reset` reads a
    piece of the request and drops the connection; `reset_after` does all the
    work and drops the connection instead of answering.
    """

    pattern: str
    kind: str
    times: int = 1
    num_hits: int = 0


@dataclass
class FaultyHub:
    """Holds the fault of the moment; use `wrap` as `running_hub`'s wrapper."""

    silence_s: float = 3.0
    fault: Fault | None = None
    _app: list[ASGIApp] = field(default_factory=list)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            fault = self.fault
            if scope["type"] != "http" or fault is None:
                return await app(scope, receive, send)
            request = f"{scope['method']} {scope['raw_path'].decode()}"
            if fault.num_hits >= fault.times or not re.search(fault.pattern, request):
                return await app(scope, receive, send)
            fault.num_hits += 1
            await self._fail(app, fault.kind, scope, receive, send)

        return faulty

    async def _fail(
        self, app: ASGIApp, kind: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if kind.isdigit():
            await _answer(int(kind), send)
        elif kind == "timeout":
            await asyncio.sleep(self.silence_s)
            await _answer(503, send)
        elif kind == "reset":
            await receive()
            await _break_off(send)
        else:

            async def swallow(message: Message) -> None:
                """The answer nobody gets."""

            await app(scope, receive, swallow)
            await _break_off(send)


async def _answer(status: int, send: Send) -> None:
    body = b'{"error": "planned by the test"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 429:
        headers.append((b"retry-after", b"0"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _break_off(send: Send) -> None:
    """Promises more than it sends: the server closes the connection in mid-answer."""
    headers = [(b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
