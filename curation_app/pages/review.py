"""The review page: one card at a time, its buttons and keys; the page's own code is in `static`."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import gradio as gr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation_app.decisions import Decision, DecisionError, EventId, edits_between
from curation_app.desk import Filters, ReviewDesk, event_summary
from curation_app.identity import reviewer_of
from curation_app.store import AlreadyDecided
from schemas.edits import EditError
from schemas.errors import PolysceneError
from schemas.reasons import REASONS
from schemas.review import Edits, Verdict

_log = logging.getLogger(__name__)

#: Evaluated by Gradio in the page; everything else is a plain module of our own.
_START = """
import(new URL("ui/review.js", document.baseURI).href)
  .then((page) => page.start(element, server));
"""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filters: Filters = Filters()


class _Open(_Message):
    sample_id: str | None = None
    step: Literal["here", "next", "previous"] = "next"


class _Act(_Message):
    """Something to be stored; `reviewer` is who the page says is reviewing."""

    event_id: EventId
    reviewer: str


class _Decide(_Act):
    sample_id: str
    content_hash: str
    kind: Literal["verdict", "edit", "skip", "flag"]
    verdict: Verdict | None = None
    reasons: list[str] = []
    texts: dict[str, Any] | None = None
    note: str = ""
    ms_active: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    seen: str


class _Undo(_Act):
    pass


class AnotherReviewer(PolysceneError):
    """The page was opened by somebody else than the browser now names."""

    def __init__(self, reviewer: str) -> None:
        super().__init__(
            f"{reviewer} is reviewing in this browser now. Nothing was stored; look at it again."
        )


def build(desk: ReviewDesk, default_reviewer: str | None) -> gr.Blocks:
    """The page as Gradio blocks.

    The card is filled by the page's own module with `textContent`: Gradio
    evaluates a rendered template as a JavaScript template literal, so that a
    row's `${…}` would run if it went through one.
    """
    shell = (Path(__file__).parent.parent / "static" / "review.html").read_text(encoding="utf-8")
    with gr.Blocks(title="polyscene review", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(
            html_template=shell,
            js_on_load=_START,
            apply_default_css=False,
            elem_id="review",
            server_functions=_server_functions(desk, default_reviewer),
        )
    return page


def _server_functions(desk: ReviewDesk, default_reviewer: str | None) -> list[Callable]:
    """What the page may ask; each takes and returns plain JSON, errors among it."""

    def answer(request: gr.Request, reply: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        reviewer = reviewer_of(request.cookies, default_reviewer)
        if reviewer is None:
            return {"needs_reviewer": True, "overview": desk.overview()}
        try:
            return reply(reviewer)
        except (AlreadyDecided, AnotherReviewer) as exc:
            return {"error": str(exc), "is_conflict": True}
        except EditError as exc:
            return {"error": str(exc), "field": exc.field, "what": exc.what}
        except PolysceneError as exc:
            return {"error": str(exc)}
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            _log.warning("refused a message of the page: %s", first["msg"])
            return {"error": f"Not understood: {first['msg']}. Reload the page."}

    def open_card(message: dict, request: gr.Request) -> dict:
        def reply(reviewer: str) -> dict[str, Any]:
            asked = _Open.model_validate(message)
            row = desk.dataset.row_of(asked.sample_id) if asked.sample_id else None
            is_absent = bool(asked.sample_id) and row is None
            if row is None or asked.step != "here":
                step = "previous" if asked.step == "previous" else "next"
                row = desk.find(reviewer, asked.filters, sample_id=asked.sample_id, step=step)
            static = {"overview": desk.overview(), "reasons": _reasons(), "is_absent": is_absent}
            return {**static, **desk.view(reviewer, asked.filters, row)}

        return answer(request, reply)

    def decide(message: dict, request: gr.Request) -> dict:
        def reply(reviewer: str) -> dict[str, Any]:
            asked = _Decide.model_validate(message)
            _same_reviewer(asked, reviewer)
            stored = desk.decide(reviewer, _decision(desk, asked), seen=asked.seen)
            saved = {**event_summary(stored), "scores": desk.scores(stored)}
            stays = asked.kind == "flag"
            row = (
                desk.dataset.row_of(asked.sample_id)
                if stays
                else desk.find(reviewer, asked.filters, sample_id=asked.sample_id)
            )
            return {"saved": saved, **desk.view(reviewer, asked.filters, row)}

        return answer(request, reply)

    def undo(message: dict, request: gr.Request) -> dict:
        def reply(reviewer: str) -> dict[str, Any]:
            asked = _Undo.model_validate(message)
            _same_reviewer(asked, reviewer)
            stored = desk.undo(reviewer, asked.event_id)
            if stored is None:
                return {"error": "Nothing of yours is left to undo in this version."}
            row = desk.dataset.row_of(stored.sample_id)
            return {"saved": event_summary(stored), **desk.view(reviewer, asked.filters, row)}

        return answer(request, reply)

    return [open_card, decide, undo]


def _same_reviewer(asked: _Act, reviewer: str) -> None:
    if asked.reviewer != reviewer:
        raise AnotherReviewer(reviewer)


def _decision(desk: ReviewDesk, asked: _Decide) -> Decision:
    row = desk.dataset.row_of(asked.sample_id)
    edits = None
    if asked.kind == "edit" and row is not None:
        edits = edits_between(desk.dataset.load(row).sample, asked.texts or {})
        state = desk.progress.state(row)
        if edits == Edits() and (state is None or state.edits is None):
            raise DecisionError("Nothing was changed. Press A to accept it as it is.")
    return Decision(
        event_id=asked.event_id,
        sample_id=asked.sample_id,
        content_hash=asked.content_hash,
        kind=asked.kind,
        verdict=asked.verdict,
        reasons=tuple(asked.reasons),
        edits=edits,
        note=asked.note,
        ms_active=asked.ms_active,
    )


def _reasons() -> list[dict[str, str]]:
    return [{"code": reason.code, "label": reason.label} for reason in REASONS]
