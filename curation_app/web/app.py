"""The web app: one Gradio app with a page for each task, beside our own routes."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from command_line.extras import require
from curation_app.web.border import Border
from curation_app.web.gate import Gate
from curation_app.web.guard import Guard
from curation_app.web.page_policy import PagePolicy
from curation_app.web.sessions import Sessions
from curation_app.web.theme import make_theme
from curation_app.web.thumbnail_route import thumbnail_route
from curation_app.work.workbench import Workbench

_STATIC = Path(__file__).parents[1] / "static"
_TITLE = "polyscene review"
_SHARED = ("ui/shared/shared.css",)
_ICON = "ui/shared/icon.svg"
_SCRIPTS = ("ui/shared/session.js", "ui/shared/plots.js")


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its name in the navigation, its path, what adds its components, its styles."""

    title: str
    path: str
    build: Callable[..., object]
    styles: tuple[str, ...] = _SHARED


def load_gradio() -> None:
    """Imports what the pages need.

    Raises:
        MissingExtraError: The extra `app` is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before the import, or it waits for network
    require("app", "gradio", "fastapi", "itsdangerous", "argon2")


def create_app(
    bench: Workbench, sessions: Sessions, border: Border, *, pages: Sequence[Page] | None = None
) -> Any:
    """The ASGI app over one workbench; nothing it serves asks anything of another host.

    Args:
        bench: The `Workbench` that the pages are built on.
        sessions: Say who sent a request.
        border: Which names, proxies and root path it is for.
        pages: The first is at the root; the app's own when None.

    Raises:
        MissingExtraError: The extra `app` is not installed.
    """
    load_gradio()
    import gradio as gr
    from fastapi import FastAPI
    from gradio.route_utils import STATIC_TEMPLATE_LIB

    from curation_app.web.auth import auth_routes

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.append(thumbnail_route(bench.dataset, bench.audits.seeds.image_home))
    app.router.routes.extend(auth_routes(sessions, border.root_path))
    app.mount("/ui", _static_files(), name="ui")
    pages = _pages() if pages is None else pages
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="SSR mode")  # it is off; Gradio says so again
        _mount(app, _blocks(gr, pages, bench, sessions), sessions, border)
    template = Path(STATIC_TEMPLATE_LIB) / "frontend" / "index.html"
    styles = {f"/{page.path}": page.styles for page in pages}
    policy = PagePolicy(
        app, template, styles, scripts=_SCRIPTS, icon=_ICON, root_path=border.root_path
    )
    return Guard(Gate(policy, sessions, border.root_path), border)


def _static_files() -> Any:
    """The app's own scripts and styles; a browser asks each time whether its copy is current."""
    from starlette.staticfiles import StaticFiles

    class Current(StaticFiles):
        def file_response(self, *args: Any, **kwargs: Any) -> Any:
            response = super().file_response(*args, **kwargs)
            response.headers["cache-control"] = "no-cache"
            return response

    return Current(directory=_STATIC)


def _mount(app: Any, blocks: Any, sessions: Sessions, border: Border) -> None:
    import gradio as gr

    async def user(request: Any) -> str | None:
        return await anyio.to_thread.run_sync(_user, sessions, request)

    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        app_kwargs={"openapi_url": None},
        auth_dependency=user,
        root_path=border.root_path or None,
        theme=make_theme(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        max_file_size=1,  # no page takes a file
        show_error=False,
        mcp_server=False,
    )


def _pages() -> Sequence[Page]:
    from curation_app.pages import admin, audit, compare, coverage, quality, review, search

    return [
        Page("Review", "", review.build, (*_SHARED, "ui/review/review.css", "ui/review/parts.css")),
        Page("Audit", "audit", audit.build),
        Page("Coverage", "coverage", coverage.build),
        Page("Quality", "quality", quality.build),
        Page("Compare", "compare", compare.build, (*_SHARED, "ui/search/search.css")),
        Page("Search", "search", search.build, (*_SHARED, "ui/search/search.css")),
        Page("Admin", "admin", admin.build),
    ]


def _blocks(gr: Any, pages: Sequence[Page], bench: Workbench, sessions: Sessions) -> Any:
    """All pages in one Gradio app; the first is at the root."""
    first, *others = pages
    blocks = gr.Blocks(title=_TITLE, analytics_enabled=False, fill_width=True)
    with blocks:
        gr.Navbar(main_page_name=first.title)
        first.build(bench, sessions.who)
    for page in others:
        with blocks.route(page.title, page.path):
            gr.Navbar(main_page_name=first.title)
            page.build(bench, sessions.who)
    return blocks


def _user(sessions: Sessions, request: Any) -> str | None:
    """Whom Gradio may answer; in one-person mode also a browser that has given no name yet."""
    person = sessions.who(request)
    if person is not None:
        return person.name
    return None if sessions.accounts.exist() else ""
