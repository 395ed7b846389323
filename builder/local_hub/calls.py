"""From an HTTP request to a plain function and back.

Handlers are ordinary functions that may block: they run in a worker thread and get
everything about the request in one `Call`. Only this module is asynchronous.
"""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from builder.local_hub.auth import Account
from builder.local_hub.blobs import CHUNK_BYTES, Received
from builder.local_hub.errors import HubError, bad_request
from builder.local_hub.hub import Hub
from builder.local_hub.repos import Repo, RepoKind, open_repo

MAX_DISCARDED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, for what, and what came with it."""

    hub: Hub
    kind: RepoKind
    account: Account | None
    origin: str
    path: str
    params: Mapping[str, str]
    query: QueryParams
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    received: Received | None = None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            HubError: 400 if it is anything else.
        """
        value = parse_json(self.body, "The request body is not valid JSON")
        if not isinstance(value, dict):
            raise bad_request("The request body must be a JSON object")
        return cast(dict[str, Any], value)

    def repo(self, connection: sqlite3.Connection, *, write: bool = False) -> Repo:
        """The repository in the address, if the account may read it, or change it."""
        namespace, name = self.params["namespace"], self.params["name"]
        return open_repo(connection, self.kind, namespace, name, self.account, write=write)


Handler = Callable[[Call], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(hub: Hub, kind: RepoKind, handler: Handler) -> Endpoint:
    """Serve a handler whose request body is small and comes as `Call.body`."""

    async def serve(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > hub.limits.json_bytes:
                raise too_large(hub.limits.json_bytes)
        return await run_in_threadpool(lambda: handler(_call(hub, kind, request, bytes(body))))

    return serve


def upload_endpoint(
    hub: Hub,
    kind: RepoKind,
    handler: Handler,
    admit: Callable[[Call], int],
    *,
    has_ticket: bool = False,
) -> Endpoint:
    """Serve a handler whose request body may be large and comes as a file, `Call.received`.

    Args:
        hub: What the handler works with.
        kind: The kind of repository that the address means.
        handler: Called when all has come; it may move the file away.
        admit: Called before anything is read: refuses by raising, and returns how many
            bytes may come.
        has_ticket: The request carries a ticket for `admit` to check instead of a token.
    """

    async def serve(request: Request) -> Response:
        try:
            call = await run_in_threadpool(lambda: _call(hub, kind, request, b"", has_ticket))
            max_bytes = await run_in_threadpool(admit, call)
        except HubError:
            await _discard(request)
            raise
        receiving = hub.blobs.receive()
        path, writer = await run_in_threadpool(receiving.__enter__)
        try:
            pending = bytearray()  # one trip to a thread for a mebibyte, not for each packet
            async for chunk in request.stream():
                pending += chunk
                if writer.size + len(pending) > max_bytes:
                    raise too_large(max_bytes)
                if len(pending) >= CHUNK_BYTES:
                    await run_in_threadpool(writer.write, bytes(pending))
                    pending.clear()
            await run_in_threadpool(writer.write, bytes(pending))
            await run_in_threadpool(writer.flush)
            received = Received(path, writer.sha256(), writer.size)
            return await run_in_threadpool(handler, replace(call, received=received))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        finally:
            await run_in_threadpool(receiving.__exit__, None, None, None)

    return serve


async def _discard(request: Request) -> None:
    """Read what a refused client still sends: closing at once would lose it the answer."""
    num_bytes = 0
    async for chunk in request.stream():
        num_bytes += len(chunk)
        if num_bytes > MAX_DISCARDED_BYTES:
            return


def too_large(max_bytes: int) -> HubError:
    """413 for a body beyond the limit."""
    return HubError(413, f"The request body is larger than the {max_bytes} bytes allowed here")


def parse_json(content: bytes, complaint: str) -> object:
    """What a client sent as JSON.

    Raises:
        HubError: 400 with this complaint if it is none, or nested beyond all sense.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise bad_request(complaint) from error


def _call(
    hub: Hub, kind: RepoKind, request: Request, body: bytes, has_ticket: bool = False
) -> Call:
    authorization = None if has_ticket else request.headers.get("authorization")
    return Call(
        hub=hub,
        kind=kind,
        account=hub.accounts.identify(authorization),
        origin=f"{request.url.scheme}://{request.url.netloc}",
        path=request.scope["path"],
        params={key: _decode(value) for key, value in request.path_params.items()},
        query=request.query_params,
        headers=request.headers,
        body=body,
    )


def _decode(segment: str) -> str:
    """Undo percent-encoding, which routes leave alone so that `%2F` is not a separator."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise bad_request("The address is not valid UTF-8") from error
