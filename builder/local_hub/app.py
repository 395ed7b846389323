"""The application: every address of this Hub and its handler."""

import errno
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from builder.local_hub.api import (
    account_api,
    commits,
    discussions_api,
    history_api,
    lfs,
    pages,
    tree_api,
    xet,
)
from builder.local_hub.api.calls import Call, Handler, endpoint, upload_endpoint
from builder.local_hub.api.tree_api import resolve_file
from builder.local_hub.auth import Accounts
from builder.local_hub.errors import HubError, bad_request, repo_not_found
from builder.local_hub.hub import Hub, Limits, open_hub
from builder.local_hub.storage.repos import RepoKind

logger = logging.getLogger(__name__)
_MAX_LOGGED_BYTES = 300


def create_app(
    root: Path,
    tokens: Mapping[str, Sequence[str]] | Accounts,
    limits: Limits | None = None,
) -> ASGIApp:
    """The Hub as a plain ASGI application, which tests may wrap to count or fail requests.

    Args:
        root: The storage folder; no other process may have it open.
        tokens: `{"token": ["user", "read" or "write", organisations…]}`.
        limits: Sizes to use instead of the defaults, for tests.
    """
    hub = open_hub(root, tokens, limits)
    app = Starlette(
        routes=[
            *_site_routes(hub),
            *_api_routes(hub, "dataset"),
            *_api_routes(hub, "model"),
            Route("/api/{rest:path}", endpoint(hub, "dataset", _unknown_address)),
            *_web_routes(hub, "dataset"),
            *_web_routes(hub, "model"),
        ],
        exception_handlers={
            HubError: _refuse,
            HTTPException: _refuse_http,
            OSError: _refuse_for_storage,
            sqlite3.OperationalError: _refuse_for_storage,
            UnicodeEncodeError: _refuse_text,
            Exception: _fail,
        },
    )
    return _log_requests(_keep_paths_encoded(app))


def _site_routes(hub: Hub) -> list[Route]:
    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(path, endpoint(hub, "dataset", handler), methods=[method])

    def upload(path: str, handler: Handler, admit: Callable[[Call], int]) -> Route:
        taken = upload_endpoint(hub, "dataset", handler, admit, has_ticket=True)
        return Route(path, taken, methods=["POST", "PUT"])

    return [
        route("GET", "/", pages.index),
        route("GET", "/api/whoami-v2", account_api.whoami),
        route("POST", "/api/validate-yaml", account_api.validate_yaml),
        route("POST", "/api/repos/create", account_api.create),
        route("DELETE", "/api/repos/delete", account_api.delete),
        route("POST", "/api/repos/move", account_api.move),
        upload("/lfs/object", lfs.put_object, lfs.admit_object),
        upload("/lfs/part", lfs.put_part, lfs.admit_part),
        route("POST", "/lfs/complete", lfs.complete),
        upload("/xet/{scope}/v1/xorbs/default/{hash}", xet.put_xorb, xet.admit_xorb),
        upload("/xet/{scope}/v1/shards", xet.put_shard, xet.admit_shard),
    ]


def _api_routes(hub: Hub, kind: RepoKind) -> list[Route]:
    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(path, endpoint(hub, kind, handler), methods=[method])

    every = f"/api/{kind}s"
    api = every + "/{namespace}/{name}"
    commit = upload_endpoint(hub, kind, commits.commit, commits.admit_commit)
    return [
        route("GET", every, account_api.list_all),
        route("GET", every + "/{name}", _no_namespace),
        route("GET", api, account_api.info),
        route("GET", api + "/revision/{rev}", account_api.info),
        route("PUT", api + "/settings", account_api.settings),
        route("GET", api + "/auth-check", account_api.auth_check),
        route("GET", api + "/auth-check/{write}", account_api.auth_check),
        route("GET", api + "/refs", history_api.refs),
        route("GET", api + "/commits/{rev}", history_api.commits),
        route("POST", api + "/tag/{rev}", history_api.create_tag),
        route("DELETE", api + "/tag/{rev}", history_api.delete_tag),
        route("POST", api + "/branch/{branch}", history_api.create_branch),
        route("DELETE", api + "/branch/{branch}", history_api.delete_branch),
        route("POST", api + "/super-squash/{branch}", history_api.super_squash),
        route("GET", api + "/tree/{rev}", tree_api.tree),
        route("GET", api + "/tree/{rev}/{path:path}", tree_api.tree),
        route("POST", api + "/paths-info/{rev}", tree_api.paths_info),
        route("GET", api + "/xet-write-token/{rev}", xet.write_token),
        route("POST", api + "/preupload/{rev}", tree_api.preupload),
        Route(api + "/commit/{rev}", commit, methods=["POST"]),
        *_discussion_routes(hub, kind, api + "/discussions"),
        route("GET", api + "/lfs-files", account_api.refuse_lfs_files),
        route("POST", api + "/lfs-files/{rest:path}", account_api.refuse_lfs_files),
    ]


def _discussion_routes(hub: Hub, kind: RepoKind, every: str) -> list[Route]:
    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(path, endpoint(hub, kind, handler), methods=[method])

    one = every + "/{num}"
    return [
        route("GET", every, discussions_api.list_all),
        route("POST", every, discussions_api.create),
        route("GET", one, discussions_api.details),
        route("POST", one + "/comment", discussions_api.comment),
        route("POST", one + "/comment/{rest:path}", discussions_api.refuse_changed_comment),
        route("POST", one + "/status", discussions_api.change_status),
        route("POST", one + "/title", discussions_api.rename),
        route("POST", one + "/merge", discussions_api.merge),
    ]


def _web_routes(hub: Hub, kind: RepoKind) -> list[Route]:
    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(path, endpoint(hub, kind, handler), methods=[method])

    web = ("/datasets" if kind == "dataset" else "") + "/{namespace}/{name}"
    return [
        route("POST", web + ".git/info/lfs/objects/batch", lfs.batch),
        route("GET", web + "/resolve/{rev}/{path:path}", resolve_file),
        route("GET", web + "/discussions/{num}", pages.discussion),
        route("GET", web, pages.repository),
    ]


def _unknown_address(call: Call) -> Response:
    raise HubError(404, f"This Hub has no {call.path}")


def _no_namespace(call: Call) -> Response:
    raise repo_not_found(is_anonymous=call.account is None)


def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    return error.response()


def _refuse_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return HubError(error.status_code, error.detail).response()


def _refuse_for_storage(_request: Request, error: Exception) -> Response:
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if is_full or "disk is full" in str(error):
        return HubError(507, "The Hub's disk is full: free some space and try again").response()
    if "database is locked" in str(error):
        return HubError(503, "The Hub is busy: try again").response()
    raise error


def _refuse_text(_request: Request, _error: Exception) -> Response:
    return bad_request("The request contains an unpaired surrogate").response()


def _fail(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "Internal error: see the log of the Hub"}, status_code=500)


def _keep_paths_encoded(app: ASGIApp) -> ASGIApp:
    """Route by the address as sent, so that a branch `a%2Fb` is one segment, not two."""

    async def encoded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].decode("ascii")}
        await app(scope, receive, send)

    return encoded


def _log_requests(app: ASGIApp) -> ASGIApp:
    """Logs one line per request, without the query, which may contain an upload ticket.

    The path is logged encoded, as sent: decoded, it could contain line breaks.
    """

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        status, start_s = 0, time.monotonic()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, note_status)
        finally:
            took_ms = 1000 * (time.monotonic() - start_s)
            logger.info("%s %s %d %.0f ms", scope["method"], _sent_path(scope), status, took_ms)

    return logged


def _sent_path(scope: Scope) -> str:
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    shown = raw[:_MAX_LOGGED_BYTES].decode("ascii", "backslashreplace")
    return shown if len(raw) <= _MAX_LOGGED_BYTES else f"{shown}… ({len(raw)} bytes)"
