"""The web app: Gradio pages mounted beside our own routes for thumbnails and static files."""

import os
from pathlib import Path
from typing import Any

from curation_app.desk import ReviewDesk
from curation_app.guard import Guard
from curation_app.thumbnails import ImageProblem, Thumbnails
from schemas.errors import PolysceneError
from schemas.extras import require

_STATIC = Path(__file__).parent / "static"


class AppError(PolysceneError):
    """The web app cannot be started."""


def load_gradio() -> None:
    """Imports what the pages need.

    Raises:
        MissingExtraError: The extra `app` is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before the import, or it waits for network
    require("app", "gradio", "fastapi")


def create_app(desk: ReviewDesk, *, host: str, default_reviewer: str | None) -> Any:
    """The ASGI app over one desk; nothing it serves asks anything of another host.

    Raises:
        MissingExtraError: The extra `app` is not installed.
    """
    load_gradio()
    import gradio as gr
    from fastapi import FastAPI
    from starlette.staticfiles import StaticFiles

    from curation_app.pages import review

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/thumbnails/{sample_id}/{place}/{name}", _thumbnail_route(desk))
    app.mount("/ui", StaticFiles(directory=_STATIC), name="ui")
    gr.mount_gradio_app(
        app,
        review.build(desk, default_reviewer),
        path="/",
        app_kwargs={"openapi_url": None},
        theme=_theme(gr),
        head='<link rel="stylesheet" href="/ui/review.css">',
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        max_file_size=1,  # no page takes a file
        show_error=False,
        mcp_server=False,
    )
    return Guard(app, host)


def _thumbnail_route(desk: ReviewDesk) -> Any:
    from starlette.responses import PlainTextResponse, Response

    thumbnails = Thumbnails()

    def thumbnail(sample_id: str, place: str, name: str) -> Response:
        row = desk.dataset.row_of(sample_id)
        if row is None:
            return PlainTextResponse("No such row in this version.", status_code=404)
        try:
            data = thumbnails.of_row(desk.dataset.load(row), place)
        except ImageProblem as exc:
            return PlainTextResponse(str(exc), status_code=415)
        except PolysceneError as exc:
            return PlainTextResponse(str(exc), status_code=404)
        # `name` carries the image's hash, so what is behind an address never changes.
        caching = {"cache-control": "private, max-age=604800, immutable"}
        return Response(data, media_type="image/webp", headers=caching)

    return thumbnail


def _theme(gr: Any) -> Any:
    """Gradio's base theme on the system's own fonts, so that none is fetched."""
    sans = ["ui-sans-serif", "system-ui", "Noto Sans", "sans-serif"]
    return gr.themes.Base(font=sans, font_mono=["ui-monospace", "monospace"])
