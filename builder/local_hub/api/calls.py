"""Call plain functions for HTTP requests.

Handlers are ordinary functions that may block: they run in a worker thread and get
everything about the request in one `Call`. Only this module is asynchronous.
"""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast
from urllib.parse import quote, unquote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from builder.local_hub.auth import Account
from builder.local_hub.errors import HubError, bad_request
from builder.local_hub.hub import Hub
from builder.local_hub.storage.blobs import CHUNK_BYTES, Received
from builder.local_hub.storage.repos import Repo, RepoKind, open_repo

MAX_DISCARDED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its sender, address, parameters and body."""

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

    def repo(
        self, connection: sqlite3.Connection, *, write: bool = False, propose: bool = False
    ) -> Repo:
        """The repository in the address, if the account may read it, change it or propose to."""
        namespace, name = self.params["namespace"], self.params["name"]
        account = self.account
        return open_repo(
            connection, self.kind, namespace, name, account, write=write, propose=propose
        )

    @property
    def user(self) -> str:
        """The account's name; only after a check that there is one."""
        assert self.account is not None
        return self.account.user

    @property
    def is_proposal(self) -> bool:
        """Whether the request is part of a pull request, new or open."""
        revision = self.params.get("rev", "")
        return bool(self.query.get("create_pr")) or revision.startswith("refs/pr/")


Handler = Callable[[Call], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(hub: Hub, kind: RepoKind, handler: Handler) -> Endpoint:
    """Makes an endpoint from a handler that gets the small request body as `Call.body`."""

    async def serve(request: Request) -> Response:
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > hub.limits.json_bytes:
                    raise too_large(hub.limits.json_bytes)
        except ClientDisconnect:
            return Response(status_code=400)  # the client is gone
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
    """Makes an endpoint from a handler that gets a large request body as a file, `Call.received`.

    Args:
        hub: What the handler works with.
        kind: The kind of repository that the address means.
        handler: Called once the whole body is received; it may move the file away.
        admit: Called before anything is read: raises to refuse, and returns the maximum
            size of the body in bytes.
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
            pending = bytearray()  # one switch to a thread per mebibyte, not per packet
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
            return Response(status_code=400)  # the client is gone
        finally:
            await run_in_threadpool(receiving.__exit__, None, None, None)

    return serve


async def _discard(request: Request) -> None:
    """Reads what a refused client still sends: if closed at once, it would not get the response."""
    num_bytes = 0
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            num_bytes += len(chunk)
            if num_bytes > MAX_DISCARDED_BYTES:
                return


def too_large(max_bytes: int) -> HubError:
    """413 for a body beyond the limit."""
    return HubError(413, f"The request body is larger than the {max_bytes} bytes allowed here")


def parse_json(content: bytes, message: str) -> object:
    """Parses a client's JSON.

    Raises:
        HubError: 400 with this message if it is not valid, or nested too deeply.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise bad_request(message) from error


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
    """Undoes percent-encoding, which routes keep so that `%2F` is not a separator."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise bad_request("The address is not valid UTF-8") from error


Item = TypeVar("Item")


def page_of(
    call: Call, items: Sequence[Item], key: Callable[[Item], str]
) -> tuple[Sequence[Item], dict[str, str]]:
    """The requested page of items, and the headers with the link to the next.

    Args:
        call: The request; `limit` and `cursor` in its query choose the page.
        items: All items, always in the same order.
        key: Names an item; the cursor is the key of the last item already sent.
    """
    limit = min(requested_limit(call) or 1 << 30, call.hub.limits.page_entries)
    start = 0
    cursor = call.query.get("cursor")
    if cursor is not None:
        start = next((i + 1 for i, item in enumerate(items) if key(item) == cursor), -1)
        if start < 0:
            raise bad_request("The cursor does not belong to this listing: start again")
    page = items[start : start + limit]
    if start + len(page) >= len(items):
        return page, {}
    query = [(k, v) for k, v in call.query.multi_items() if k != "cursor"]
    query.append(("cursor", key(page[-1])))
    return page, {
        "Link": f'<{call.origin}{call.path}?{urlencode(query, quote_via=quote)}>; rel="next"'
    }


def requested_limit(call: Call) -> int | None:
    """The number of items requested, `None` if not given."""
    text = call.query.get("limit", "")
    return (int(text[:9]) or None) if text.isdecimal() else None
