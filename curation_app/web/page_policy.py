"""The HTML of Gradio's pages: its own inline scripts allowed by hash, our style sheets put in."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from curation_app.web.guard import POLICY
from schemas.errors import PolysceneError

_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_BASE = re.compile(r'<base href="[^"]*" />')
#: Asked for at the root of the host, whatever the root path; the app is not installable.
_MANIFEST = '<link rel="manifest" href="/manifest.json" />'
#: Browsers normalise line ends before they hash.
_LINE_ENDS = re.compile(r"\r\n?")


class TemplateError(PolysceneError):
    """Gradio's page template is not of the form that its scripts can be told from others."""


@dataclass(frozen=True, slots=True)
class ScriptShape:
    """An inline script of Gradio's template: fixed text, or JSON between two fixed texts."""

    before: str
    after: str | None

    def fits(self, script: str) -> bool:
        """Whether a script is this one, with nothing but JSON in its place.

        What fits cannot do more than the template's own text does: a value is
        assigned, none is run.
        """
        if self.after is None:
            return script == self.before
        if not script.startswith(self.before) or not script.endswith(self.after):
            return False
        middle = script[len(self.before) : len(script) - len(self.after)]
        try:
            orjson.loads(middle)
        except orjson.JSONDecodeError:
            return False
        return "<" not in middle


def script_shapes(template: str) -> list[ScriptShape]:
    """The inline scripts of a Jinja template.

    Raises:
        TemplateError: A script has more than one placeholder, or one that is not JSON.
    """
    shapes = []
    for body in _INLINE_SCRIPT.findall(template):
        placeholders = _PLACEHOLDER.findall(body)
        if len(placeholders) > 1 or not all("| toorjson" in found for found in placeholders):
            raise TemplateError(
                "gradio's index.html: an inline script of unknown form. "
                "Install the gradio version this release was tested with."
            )
        before, *after = _PLACEHOLDER.split(body)
        shapes.append(ScriptShape(before, after[0] if after else None))
    return shapes


class PagePolicy:
    """Serves Gradio's pages with a policy that allows exactly Gradio's own inline scripts.

    Args:
        app: The app with Gradio in it.
        template: Gradio's page template, before anything is put in.
        styles: Style sheets by page path ("/", "/audit"), as paths below the root.
        scripts: Modules of our own that every page loads, as paths below the root.
        icon: The pages' icon, as a path below the root.
        root_path: "" or "/review".
    """

    def __init__(
        self,
        app: ASGIApp,
        template: Path,
        styles: Mapping[str, Sequence[str]],
        *,
        scripts: Sequence[str] = (),
        icon: str = "",
        root_path: str = "",
    ) -> None:
        self._app = app
        self._shapes = script_shapes(template.read_text(encoding="utf-8"))
        self._root = root_path
        common = [f'<script type="module" src="{{}}{script}"></script>' for script in scripts]
        if icon:
            common.append(f'<link rel="icon" type="image/svg+xml" href="{{}}{icon}">')
        root = html.escape(root_path)
        self._heads = {
            path: "".join(
                tag.format(f"{root}/")
                for tag in [
                    *common,
                    *(f'<link rel="stylesheet" href="{{}}{sheet}">' for sheet in sheets),
                ]
            )
            for path, sheets in styles.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path not in self._heads:
            # Gradio's own answer to a slash at the end forgets the root path.
            has_page = path.rstrip("/") in self._heads and scope["method"] in ("GET", "HEAD")
            answer = RedirectResponse(self._root + path.rstrip("/"), 301) if has_page else self._app
            await answer(scope, receive, send)
            return
        plain = [entry for entry in scope["headers"] if entry[0] != b"accept-encoding"]
        start: Message = {}
        parts: list[bytes] = []

        async def send_page(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            parts.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            body = b"".join(parts)
            headers = MutableHeaders(scope=start)
            if start["status"] == 200 and headers.get("content-type", "").startswith("text/html"):
                text, hashes = self._page(path, body.decode("utf-8"))
                if scope["method"] != "HEAD":
                    body = text.encode()
                    headers["content-length"] = str(len(body))
                headers["content-security-policy"] = POLICY.format(hashes=hashes)
                headers["cache-control"] = "no-store"
            await send(start)
            await send({"type": "http.response.body", "body": body, "more_body": False})

        await self._app({**scope, "headers": plain}, receive, send_page)

    def _page(self, path: str, text: str) -> tuple[str, str]:
        """A page as it is sent, and the hashes of the scripts it may run."""
        scripts = [_LINE_ENDS.sub("\n", body) for body in _INLINE_SCRIPT.findall(text)]
        own = [body for body in scripts if any(shape.fits(body) for shape in self._shapes)]
        hashes = "".join(f" 'sha256-{_sha256(body)}'" for body in dict.fromkeys(own))
        text = _BASE.sub(f'<base href="{html.escape(self._root)}/" />', text, count=1)
        text = text.replace(_MANIFEST, "", 1)
        return text.replace("</head>", f"{self._heads[path]}</head>", 1), hashes


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
