"""Runs the web app: binds first, says the address once it answers, stops at once when told to."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from schemas.errors import PolysceneError

_GRACE_S = 2
#: Request line and headers; longer ones are answered 400 before anything reads them.
_MAX_HEAD_BYTES = 49_152


class ServerError(PolysceneError):
    """The server cannot listen where it is told to."""


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ServerError: The address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
        # Connections take this over. asyncio does it for sockets of its own alone, and without it
        # each answer in two pieces waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as exc:
        raise ServerError(
            f"{host}:{port}: {exc.strerror}. Stop what listens there, or give another --port."
        ) from exc


def make_config(app: Any) -> uvicorn.Config:
    """How the app is served: requests bounded, no header believed but those the guard reads."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        server_header=False,
        http="h11",
        ws="none",
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        proxy_headers=False,  # the guard reads them, from named proxies alone
    )


def serve(app: Any, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Serves until SIGINT or SIGTERM; open connections get two seconds to end."""
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        _AnnouncingServer(make_config(app), announce).run(sockets=[listener])
