"""A plain reverse proxy on loopback, as people put one in front of the app."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import ClientSession, web

_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True, slots=True)
class Proxying:
    """What a proxy does to a request.

    Args:
        upstream: Port of the app.
        prefix: Path under which it shows the app; taken off before the app.
        keeps_host: Pass the browser's Host on; else the upstream's, as nginx's
            bare `proxy_pass` does.
        says_forwarded: Add X-Forwarded-Host and -Proto.
    """

    upstream: int
    prefix: str = ""
    keeps_host: bool = True
    says_forwarded: bool = True


@contextmanager
def reverse_proxy(how: Proxying) -> Iterator[int]:
    """Runs a proxy in a thread until the block ends; gives its port."""
    started = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _pass_on(request, how)

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=10**8)
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        started.set()
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    yield listener.getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


async def _pass_on(request: web.Request, how: Proxying) -> web.StreamResponse:
    if not request.raw_path.startswith(how.prefix):
        return web.Response(status=404, text="not here")
    path = request.raw_path[len(how.prefix) :] or "/"
    headers = {k: v for k, v in request.headers.items() if k.lower() not in {"host", *_HOP}}
    headers["Host"] = request.headers["Host"] if how.keeps_host else f"127.0.0.1:{how.upstream}"
    if how.says_forwarded:
        headers["X-Forwarded-Host"] = request.headers["Host"]
        headers["X-Forwarded-Proto"] = "http"
    url = f"http://127.0.0.1:{how.upstream}{path}"
    async with (
        ClientSession(auto_decompress=False) as session,
        session.request(
            request.method, url, headers=headers, data=await request.read(), allow_redirects=False
        ) as answer,
    ):
        kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in _HOP]
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for part in answer.content.iter_any():
            await response.write(part)
        await response.write_eof()
        return response
