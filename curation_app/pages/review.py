"""The review page: one card at a time, its buttons and keys; the page's own code is in `static`."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from pydantic import ValidationError

from curation_app.pages.review_acts import ReviewActs
from curation_app.store import AlreadyDecided, ChangedMeanwhile
from curation_app.work.decisions import EditProblems
from curation_app.work.people import Person
from schemas.edits import EditError
from schemas.errors import PolysceneError

if TYPE_CHECKING:
    from curation_app.work.workbench import Workbench

_log = logging.getLogger(__name__)

#: Evaluated by Gradio in the page; everything else is a plain module of our own.
_START = """
import(new URL("ui/review/review.js", document.baseURI).href)
  .then((page) => page.start(element, server));
"""

Who = Callable[[gr.Request], Person | None]


def build(bench: "Workbench", who: Who) -> None:
    """Adds the page to the Gradio blocks around it.

    The card is filled by the page's own module with `textContent`: Gradio
    evaluates a rendered template as a JavaScript template literal, so that a
    row's `${…}` would run if it went through one.
    """
    shell = Path(__file__).parents[1] / "static" / "review" / "review.html"
    gr.HTML(
        html_template=shell.read_text(encoding="utf-8"),
        js_on_load=_START,
        apply_default_css=False,
        elem_id="review",
        server_functions=_server_functions(bench, who),
    )


def _server_functions(bench: "Workbench", who: Who) -> list[Callable]:
    """What the page may ask; each takes and returns plain JSON, errors among it."""
    acts = ReviewActs(bench.desk)

    def answer(request: gr.Request, act: Callable[[Person, dict], dict], message: dict) -> dict:
        person = who(request)
        if person is None:
            return {"needs_reviewer": True, "overview": bench.desk.overview()}
        try:
            return act(person, message)
        except PolysceneError as exc:
            return _refusal(exc)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            _log.warning("refused a message of the page: %s", first["msg"])
            return {"error": f"Not understood: {first['msg']}. Reload the page."}

    def open_card(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.open_card, message)

    def decide(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.decide, message)

    def undo(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.undo, message)

    def check(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.check, message)

    def provenance(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.provenance, message)

    def renew(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.renew, message)

    def release(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.release, message)

    def guidelines(message: dict, request: gr.Request) -> dict:
        return answer(request, acts.guidelines, message)

    return [open_card, decide, undo, check, provenance, renew, release, guidelines]


def _refusal(exc: PolysceneError) -> dict[str, Any]:
    """The answer to an act that was refused."""
    refusal: dict[str, Any] = {"error": str(exc)}
    if isinstance(exc, AlreadyDecided):
        refusal |= {"is_conflict": True}
    elif isinstance(exc, ChangedMeanwhile):
        edit = exc.edit
        change = (
            None
            if edit is None
            else {
                "reviewer": edit.reviewer,
                "kind": edit.kind,
                "verdict": edit.verdict,
                "reasons": list(edit.reasons),
                "note": edit.note,
            }
        )
        refusal |= {"is_conflict": True, "is_changed": True, "change": change}
    elif isinstance(exc, EditError):
        found = exc.problems if isinstance(exc, EditProblems) else [exc]
        refusal["problems"] = [{"field": each.field, "what": each.what} for each in found]
    if getattr(exc, "reopens", False):
        refusal["is_conflict"] = True
    return refusal
