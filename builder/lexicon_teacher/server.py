"""Serve the lexicon teacher on loopback through the OpenAI chat completions protocol."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
from aiohttp import web

from builder.lexicon_teacher.mistakes import MistakeRates, PlantedLog
from builder.lexicon_teacher.request import RequestError
from builder.lexicon_teacher.teacher import MODEL, LexiconTeacher
from command_line.address import clickable_url

_MAX_REQUEST_BYTES = 64 * 2**20
_logger = logging.getLogger(__name__)


def make_app(teacher: LexiconTeacher, api_key: str | None = None) -> web.Application:
    """The web application: chat completions and the model list.

    Args:
        api_key: If set, requests without this bearer key get a 401.
    """

    @web.middleware
    async def authorise(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if api_key is not None and request.headers.get("Authorization") != f"Bearer {api_key}":
            return _error(401, "Incorrect API key provided.", code="invalid_api_key")
        return await handler(request)

    async def complete(request: web.Request) -> web.Response:
        try:
            return _json(teacher.complete(orjson.loads(await request.read())))
        except orjson.JSONDecodeError as exc:
            return _error(400, f"the request body is not JSON: {exc}")
        except RequestError as exc:
            return _error(400, str(exc))

    async def list_models(request: web.Request) -> web.Response:
        del request
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "polyscene"}
        return _json({"object": "list", "data": [model]})

    app = web.Application(client_max_size=_MAX_REQUEST_BYTES, middlewares=[authorise])
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", list_models)
    return app


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _error(status: int, message: str, code: str | None = None) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return _json({"error": error}, status)


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    planted: Path | None = None,
    rates: MistakeRates | None = None,
    api_key: str | None = None,
    ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serves until interrupted (SIGINT, SIGTERM) or until `stop` is set.

    Args:
        port: 0 picks a free one; `ready` learns which.
        planted: JSON lines file that planted mistakes are appended to.
        rates: Mistakes on purpose; the defaults if None.
        ready: Called once with the base URL (`http://127.0.0.1:4321/v1`) when listening.
        stop: Set it to end a server that runs in a thread.

    Raises:
        OSError: If the port cannot be bound.
    """
    teacher = LexiconTeacher(rates or MistakeRates(), PlantedLog(planted))
    app = make_app(teacher, api_key)
    asyncio.run(_run(app, host, port, ready, stop))


async def _run(
    app: web.Application,
    host: str,
    port: int,
    ready: Callable[[str], None] | None,
    stop: threading.Event | None,
) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_port = runner.addresses[0][1]
        url = clickable_url(host, bound_port, "/v1")
        _logger.info("lexicon teacher listens on %s", url)
        if ready is not None:
            ready(url)
        await _until_stopped(stop)
    finally:
        await runner.cleanup()


async def _until_stopped(stop: threading.Event | None) -> None:
    if stop is not None:
        await asyncio.to_thread(stop.wait)
        return
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not every platform has loop signals, and no loop has them outside the main thread.
        with suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, interrupted.set)
    await interrupted.wait()


@contextmanager
def running_teacher(
    *,
    planted: Path | None = None,
    rates: MistakeRates | None = None,
    api_key: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[str]:
    """Runs a teacher in a thread of this process and yields its base URL.

    Raises:
        OSError: If the port cannot be bound.
    """
    urls: list[str] = []
    failures: list[BaseException] = []
    settled, stop = threading.Event(), threading.Event()

    def ready(url: str) -> None:
        urls.append(url)
        settled.set()

    def run() -> None:
        try:
            serve(host, port, planted=planted, rates=rates, api_key=api_key, ready=ready, stop=stop)
        except BaseException as exc:  # Handed to the caller's thread below.
            failures.append(exc)
        finally:
            settled.set()

    thread = threading.Thread(target=run, name=MODEL, daemon=True)
    thread.start()
    settled.wait()
    if failures:
        raise failures[0]
    try:
        yield urls[0]
    finally:
        stop.set()
        thread.join()
