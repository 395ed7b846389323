"""Signing in and out, invitations, and the status route: small pages of our own, no script."""

import logging
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from curation_app.store.accounts import Account, AccountError
from curation_app.store.database import StoreError
from curation_app.web.guard import STATUS_PATH
from curation_app.web.sessions import SESSION_DAYS, Sessions
from curation_app.web.sign_in_pages import (
    AGAIN_PAGE,
    CONTENT_SECURITY_POLICY,
    invite_page,
    message_page,
    password_page,
    sign_in_page,
)
from curation_app.web.throttle import Throttle
from curation_app.work.people import Person, PersonError, checked_name

_log = logging.getLogger(__name__)

_MAX_FIELDS = 8
#: argon2 takes 64 MiB each time: so many at once.
_MAX_HASHES = 2


class Auth:
    """The routes of signing in.

    What stands in an address or a form is never repeated as markup; a password is in no message.

    Args:
        sessions: Make and read the cookie.
        root_path: "" or "/review".
    """

    def __init__(self, sessions: Sessions, root_path: str) -> None:
        self._sessions = sessions
        self._accounts = sessions.accounts
        self._root = root_path
        self._throttle = Throttle()
        self._hashing = anyio.CapacityLimiter(_MAX_HASHES)

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in", self.show_sign_in, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Route("/invite/{token}", self.show_invite, methods=["GET"]),
            Route("/invite/{token}", self.accept_invite, methods=["POST"]),
            Route("/password", self.show_password, methods=["GET"]),
            Route("/password", self.change_password, methods=["POST"]),
            Route(STATUS_PATH, self.status, methods=["GET", "POST"]),
        ]

    async def status(self, request: Request) -> Response:
        """Who is there; the guard or the gate answers in its place where it refuses."""
        person = await anyio.to_thread.run_sync(self._sessions.who, request)
        has_accounts = await anyio.to_thread.run_sync(self._accounts.exist)
        return JSONResponse(
            {
                "ok": True,
                "status": 200,
                "reason": "",
                "sign_in": f"{self._root}/sign-in" if has_accounts else None,
                "reviewer": person and person.name,
                "role": person and person.role,
            },
            headers={"cache-control": "no-store"},
        )

    async def show_sign_in(self, request: Request) -> Response:
        # The cookie is SameSite=Strict: it does not come with a link from another site, only with
        # the request after that.
        if request.headers.get("sec-fetch-site") not in (None, "none", "same-origin"):
            return _page(AGAIN_PAGE)
        goal = self._goal(request.query_params.get("next", ""))
        has_accounts = await anyio.to_thread.run_sync(self._accounts.exist)
        is_in = await anyio.to_thread.run_sync(self._sessions.who, request)
        if is_in or not has_accounts:
            return RedirectResponse(goal, status_code=303)
        return _page(sign_in_page(self._root, goal))

    async def sign_in(self, request: Request) -> Response:
        form = await _form(request)
        if form is None:
            return _page(message_page(self._root, "The form could not be read."), 400)
        name, goal = " ".join(form.get("name", "").split()), self._goal(form.get("next", ""))
        address = request.client.host if request.client else ""
        wait_s = self._throttle.attempt(name, address)
        if wait_s:
            # The name stays out: people type passwords into the wrong field.
            _log.warning("too many failed attempts to sign in, the last from %s", address)
            seconds = int(wait_s) + 1
            problem = f"Too many attempts. Try again in {seconds} seconds."
            answer = _page(sign_in_page(self._root, goal, problem=problem), 429)
            answer.headers["retry-after"] = str(seconds)
            return answer
        account = await anyio.to_thread.run_sync(
            self._accounts.authenticate, name, form.get("password", ""), limiter=self._hashing
        )
        if account is None:
            problem = "Name or password is wrong."
            return _page(sign_in_page(self._root, goal, problem=problem), 401)
        self._throttle.succeeded(name, address)
        return self._signed_in(request, account, goal)

    async def sign_out(self, request: Request) -> Response:
        answer = RedirectResponse(f"{self._root}/sign-in", status_code=303)
        answer.delete_cookie(self._sessions.cookie_name, path=self._root or "/")
        return answer

    async def show_invite(self, request: Request) -> Response:
        invite = await anyio.to_thread.run_sync(
            self._accounts.invitation, request.path_params["token"]
        )
        if invite is None:
            return _page(message_page(self._root, _NO_INVITE), 404)
        return _page(invite_page(self._root, request.path_params["token"], invite))

    async def accept_invite(self, request: Request) -> Response:
        token = request.path_params["token"]
        address = request.client.host if request.client else ""
        if wait_s := self._throttle.attempt(f"invite {token[:8]}", address):
            problem = f"Too many attempts. Try again in {int(wait_s) + 1} seconds."
            return _page(message_page(self._root, problem), 429)
        invite = await anyio.to_thread.run_sync(self._accounts.invitation, token)
        form = await _form(request)
        if invite is None or form is None:
            return _page(message_page(self._root, _NO_INVITE), 404)
        try:
            if form.get("password", "") != form.get("again", ""):
                raise AccountError("The two passwords differ.")
            name = checked_name(form.get("name", ""))
            accept = partial(
                self._accounts.accept, token, name=name, password=form.get("password", "")
            )
            account = await anyio.to_thread.run_sync(accept, limiter=self._hashing)
        except (AccountError, PersonError, StoreError) as exc:
            return _page(invite_page(self._root, token, invite, problem=str(exc)), 400)
        self._throttle.succeeded(f"invite {token[:8]}", address)
        return self._signed_in(request, account, f"{self._root}/")

    async def show_password(self, request: Request) -> Response:
        person = await self._account_holder(request)
        if person is None:
            return _page(message_page(self._root, _NO_ACCOUNTS), 404)
        return _page(password_page(self._root, person.name))

    async def change_password(self, request: Request) -> Response:
        person = await self._account_holder(request)
        form = await _form(request)
        if person is None or form is None:
            return _page(message_page(self._root, _NO_ACCOUNTS), 404)
        address = request.client.host if request.client else ""
        if wait_s := self._throttle.attempt(person.name, address):
            problem = f"Too many attempts. Try again in {int(wait_s) + 1} seconds."
            return _page(password_page(self._root, person.name, problem=problem), 429)
        try:
            account = await anyio.to_thread.run_sync(
                self._new_password, person.name, form, limiter=self._hashing
            )
        except (AccountError, StoreError) as exc:
            return _page(password_page(self._root, person.name, problem=str(exc)), 400)
        self._throttle.succeeded(person.name, address)
        return self._signed_in(request, account, f"{self._root}/")

    def _new_password(self, name: str, form: dict[str, str]) -> Account:
        if form.get("password", "") != form.get("again", ""):
            raise AccountError("The two new passwords differ.")
        if self._accounts.authenticate(name, form.get("current", "")) is None:
            raise AccountError("The current password is wrong.")
        self._accounts.set_password(name, form.get("password", ""))
        account = self._accounts.get(name)
        assert account is not None
        return account

    async def _account_holder(self, request: Request) -> Person | None:
        """Who is signed in with an account; None in one-person mode."""
        if not await anyio.to_thread.run_sync(self._accounts.exist):
            return None
        return await anyio.to_thread.run_sync(self._sessions.who, request)

    def _signed_in(self, request: Request, account: Account, goal: str) -> Response:
        answer = RedirectResponse(goal, status_code=303)
        answer.set_cookie(
            self._sessions.cookie_name,
            self._sessions.cookie_value(account),
            max_age=int(timedelta(days=SESSION_DAYS).total_seconds()),
            path=self._root or "/",
            httponly=True,
            secure=request.url.scheme == "https",
            samesite="strict",
        )
        return answer

    def _goal(self, asked: str) -> str:
        """Where to go after signing in: a path of this app, whatever the address says."""
        path = asked.removeprefix(self._root) if self._root else asked
        is_ours = (
            path.startswith("/")
            and not path.startswith(("//", "/sign-", "/invite"))
            and "\\" not in path
            and path.isascii()
            and path.isprintable()
        )
        return self._root + path if is_ours else f"{self._root}/"


def auth_routes(sessions: Sessions, root_path: str) -> list[Route]:
    """The routes of signing in and out, of invitations and of the status."""
    return Auth(sessions, root_path).routes()


_NO_INVITE = (
    "This invitation was used, has expired or never was. Ask whoever sent it for a new link."
)


_NO_ACCOUNTS = "There are no accounts here, so there is no password to change."


async def _form(request: Request) -> dict[str, str] | None:
    """Fields of an urlencoded form; None where it is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    try:
        body = (await request.body()).decode("ascii")
        return dict(parse_qsl(body, errors="strict", max_num_fields=_MAX_FIELDS))
    except ValueError:
        return None


def _page(text: str, status: int = 200) -> Response:
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY, "cache-control": "no-store"}
    return HTMLResponse(text, status_code=status, headers=headers)
