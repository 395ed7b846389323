"""The border of the web app: headers that keep content inert, nothing for foreign pages."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from curation_app.web.bodies import BodyProblem, read_body
from curation_app.web.border import Border

#: Gradio evaluates the app's own templates ('unsafe-eval'). Inline scripts stay forbidden; the
#: pages add the hashes of Gradio's own, see `page_policy`.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'{hashes}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
CONTENT_SECURITY_POLICY = POLICY.format(hashes="")
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # Nothing to other sites; with "no-referrer" a form of our own would have no origin to judge.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
STATUS_PATH = "/api/status"
_MAX_TARGET_BYTES = 8_192
_MAX_HEADER_BYTES = 32_768

#: Of Gradio's endpoints those that its pages call here; the others (uploads, proxies, deep links,
#: recordings, code by a model, named calls) have no use in this app. `file=` takes a path: with a
#: URL, Gradio would fetch it for whoever asks.
_GRADIO_CALLS = re.compile(
    r"/gradio_api/(?:component_server/?|queue/(?:join|data)/?|run/[^/]+/?|cancel/?|reset/?"
    r"|heartbeat/[^/]+|file=/.+|info/?|startup-events|app_id/?|user/?|login_check/?|theme\.css)"
)
_GRADIO_CLOSED = re.compile(
    r"/(?:login|logout|monitoring|openapi\.json|pwa_icon|manifest\.json|svelte|custom_component)"
    r"(?:/.*)?"
)
_UPLOAD = re.compile(r"/gradio_api/upload/?")
#: Reads that cost time or hold content: no link of another page leads to them.
_COSTLY = re.compile(r"/(?:gradio_api|thumbnails|images|api)/.*")


class Guard:
    """Judges each request before the app sees it, and adds the headers to every response.

    Refused is what names another host, comes from another site's page, is too
    large or is no JSON where JSON is due. Forwarding headers count only from a
    proxy that the border names; they are taken off before the app.

    Args:
        app: The app behind it.
        border: The names, proxies and root path.
    """

    def __init__(self, app: ASGIApp, border: Border) -> None:
        self._app = app
        self._border = border

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                # Gradio lets pages of any origin read what it serves under other names than
                # localhost, with their cookies.
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
            await send(message)

        scope = _as_asked(scope, self._border)
        problem = self._problem(scope)
        if problem is None:
            try:
                receive = await read_body(scope, receive)
            except BodyProblem as exc:
                problem = exc.status, str(exc)
        app = self._app if problem is None else refusal(scope["path"], *problem)
        await app(scope, receive, send_with_headers)

    def _problem(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason of a refusal; None lets the request in."""
        path, method = scope["path"], scope["method"]
        target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if target > _MAX_TARGET_BYTES:
            return 414, "The address is too long."
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADER_BYTES:
            return 431, "The headers are too long. Delete this site's cookies, then reload."
        headers = Headers(scope=scope)
        problem = self._host_problem(headers) or self._site_problem(path, method, headers)
        if problem is not None:
            return 403, problem
        if method not in ("GET", "HEAD", "POST"):
            return 405, "This app takes GET, HEAD and POST."
        if _UPLOAD.fullmatch(path):
            return 413, "This app takes no files."
        is_closed = path.startswith("/gradio_api/") and not _GRADIO_CALLS.fullmatch(path)
        if is_closed or _GRADIO_CLOSED.fullmatch(path):
            return 404, "Not found."
        return None

    def _host_problem(self, headers: Headers) -> str | None:
        hosts = headers.getlist("host")
        if len(hosts) == 1 and self._border.answers_to(hosts[0]):
            return None
        if self._border.is_loopback:
            return (
                "This app answers on this machine only. To open it under another name, "
                "start it with --allow-host NAME."
            )
        return "This app does not answer to that name. Start it with --allow-host NAME to allow it."

    def _site_problem(self, path: str, method: str, headers: Headers) -> str | None:
        """Why a request that another site's page made is refused."""
        is_read = method in ("GET", "HEAD")
        site = headers.get("sec-fetch-site")
        if site not in (None, "none", "same-origin"):
            # A link may lead here; nothing else of another page may.
            is_link = headers.get("sec-fetch-mode") == "navigate"
            is_link = is_link and headers.get("sec-fetch-dest") == "document"
            if not (is_read and is_link and not _COSTLY.fullmatch(path)):
                return "Only the app's own pages may ask this."
        # Over plain http to another machine browsers send no Sec-Fetch-Site; what a page's script
        # reads from elsewhere still names its origin.
        origin, host = headers.get("origin"), headers["host"]
        if not origin or _is_origin_of(origin, host):
            return None
        if site == "same-origin":
            if is_read:  # scripts and styles, without which no page could show the reason below
                return None
            return (
                f"The browser is at {_shown(origin)}, but the proxy in front of this app names it "
                f"{_shown(host)}. Let the proxy pass the Host header on, or let it send "
                "X-Forwarded-Host and start the app with --proxy ADDRESS (the proxy's address)."
            )
        return "Only the app's own pages may ask this."


def refusal(path: str, status: int, reason: str, *, sign_in: str | None = None) -> Response:
    """The answer to a refused request: the reason as text, or as JSON where a page asks for it."""
    if path == STATUS_PATH:
        return JSONResponse(
            {
                "ok": False,
                "status": status,
                "reason": reason,
                "sign_in": sign_in,
                "reviewer": None,
                "role": None,
            },
            status_code=status,
        )
    return PlainTextResponse(reason, status_code=status)


def _as_asked(scope: Scope, border: Border) -> Scope:
    """The request as the browser made it: forwarding headers used or dropped, root path off."""
    scope = dict(scope)
    kept, forwarded = [], {}
    for name, value in scope["headers"]:
        if name.startswith(b"x-forwarded-") or name in (b"forwarded", b"x-gradio-server"):
            # Proxies append: the last value is what the nearest one, the named one, has seen.
            forwarded[name] = value.decode("latin-1").rpartition(",")[2].strip()
        else:
            kept.append((name, value))
    client = scope.get("client")
    if client and forwarded and border.believes(client[0]):
        host = forwarded.get(b"x-forwarded-host")
        if host:
            kept = [(name, value) for name, value in kept if name != b"host"]
            kept.append((b"host", host.encode("latin-1")))
        if forwarded.get(b"x-forwarded-proto") in ("http", "https"):
            scope["scheme"] = forwarded[b"x-forwarded-proto"]
        if forwarded.get(b"x-forwarded-for"):
            scope["client"] = (forwarded[b"x-forwarded-for"], 0)
    scope["headers"] = kept
    path, root = scope["path"], border.root_path
    if root and (path == root or path.startswith(f"{root}/")):
        scope["path"] = path[len(root) :] or "/"
        scope["raw_path"] = (scope.get("raw_path") or path.encode())[len(root) :] or b"/"
    return scope


def _is_origin_of(origin: str, host: str) -> bool:
    """Whether an origin is the named host's; a scheme's own port may be left out."""
    scheme, _, authority = origin.lower().partition("://")
    implied = {"http": ":80", "https": ":443"}.get(scheme, "")
    return bool(implied) and authority.removesuffix(implied) == host.lower().removesuffix(implied)


def _shown(value: str) -> str:
    return "".join(char for char in value[:80] if char.isprintable())
