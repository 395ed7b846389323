"""Lets only people with a session in, where there are accounts."""

import logging
import re
from urllib.parse import quote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from curation_app.store.database import StoreError
from curation_app.web.guard import STATUS_PATH, refusal
from curation_app.web.sessions import Sessions

_log = logging.getLogger(__name__)

#: What a browser needs before anybody has signed in; none of it holds anything of a dataset.
_OPEN = re.compile(r"/sign-in|/invite/[A-Za-z0-9_-]{1,100}|/ui/.*|/favicon\.ico|/robots\.txt")
_STORE_PROBLEM = "The review store cannot be read just now. Try again in a moment."
SIGNED_OUT = "You are signed out. Sign in again; what you did is kept in this browser until then."


class Gate:
    """Answers 401, or leads to the sign-in page, where accounts exist and nobody is signed in.

    Args:
        app: The app behind it.
        sessions: Say who sent a request.
        root_path: "" or "/review".
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, root_path: str) -> None:
        self._app = app
        self._sessions = sessions
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _OPEN.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        # In a thread: the store may be waiting for a disk.
        try:
            is_in = await anyio.to_thread.run_sync(self._may_enter, request)
        except StoreError:
            _log.exception("cannot read who is signed in")
            await refusal(scope["path"], 503, _STORE_PROBLEM)(scope, receive, send)
            return
        if is_in:
            await self._app(scope, receive, send)
            return
        sign_in = f"{self._root}/sign-in"
        wants_page = "text/html" in request.headers.get("accept", "")
        if scope["method"] == "GET" and wants_page and scope["path"] != STATUS_PATH:
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            answer = RedirectResponse(f"{sign_in}?next={quote(asked, safe='')}", status_code=303)
        else:
            answer = refusal(scope["path"], 401, SIGNED_OUT, sign_in=sign_in)
        await answer(scope, receive, send)

    def _may_enter(self, request: Request) -> bool:
        sessions = self._sessions
        return sessions.who(request) is not None or not sessions.accounts.exist()
