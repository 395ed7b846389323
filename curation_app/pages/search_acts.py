"""What a lead does with a search result: make a queue of it, or give it one verdict."""

import secrets
from collections.abc import Callable
from typing import Any

import gradio as gr

from curation_app.store.queues import QueueItem
from curation_app.work.bulk import MAX_ROWS, BulkError, decide_all
from curation_app.work.marks import review_marks
from curation_app.work.people import Person
from curation_app.work.queues import QueueOrigin
from curation_app.work.workbench import Workbench
from schemas.errors import PolysceneError
from schemas.reasons import REASONS

Who = Callable[[gr.Request], Person | None]

MAX_QUEUE_ITEMS = 100_000
_MODES = [
    ("Accept or reject", "card"),
    ("Which candidate matches?", "forced_choice"),
    ("Tick what the interpretation claims", "claims"),
]


def add_queue_form(
    bench: Workbench, who: Who, result: gr.State, *, origin: QueueOrigin = "search"
) -> None:
    """Adds the form that makes a queue of the rows that `wanted` of the held result names."""
    with gr.Row():
        title = gr.Textbox(label="Title", max_lines=1, max_length=120, elem_id="queue-title")
        overlap = gr.Number(label="Reviewers per sample", value=1, precision=0, minimum=1)
        mode = gr.Dropdown(label="Question", choices=_MODES, value="card")
        blind = gr.Checkbox(label="Blind: hide scores and other verdicts", value=True)
        make = gr.Button("Make the queue", variant="primary", elem_id="queue-make")
    note = gr.Textbox(label="Queue", interactive=False, lines=1, elem_id="queue-note")

    def make_queue(
        held: Any, title: str, overlap: float, mode: Any, blind: bool, request: gr.Request
    ) -> str:
        try:
            person = _lead(who, request)
            rows = result_rows(bench, held, MAX_QUEUE_ITEMS)
            dataset = bench.dataset
            queue = bench.queues.create(
                title=title or "",
                origin=origin,
                items=[
                    QueueItem(dataset.sample_id(row), dataset.value("language", row))
                    for row in rows
                ],
                created_by=person.name,
                overlap=int(overlap or 0),
                is_blind=bool(blind),
                mode=mode,
            )
        except PolysceneError as exc:
            return str(exc)
        return f'Queue "{queue.title}" has {_samples(len(rows))}.'

    make.click(make_queue, [result, title, overlap, mode, blind], [note], api_visibility="private")


def add_bulk_verdict(bench: Workbench, who: Who, result: gr.State) -> None:
    """Adds the form that gives one verdict to all of the result, confirmed by its number."""
    with gr.Row():
        verdict = gr.Radio(
            label="Verdict", choices=["accept", "reject"], value="reject", elem_id="bulk-verdict"
        )
        reasons = gr.Dropdown(
            label="Reasons",
            choices=[(reason.label, reason.code) for reason in REASONS],
            multiselect=True,
            elem_id="bulk-reasons",
        )
        note = gr.Textbox(label="Note", max_lines=2, max_length=2_000, elem_id="bulk-note")
        ask = gr.Button("Count them first", elem_id="bulk-ask")
    answer = gr.Textbox(label="Verdicts", interactive=False, lines=1, elem_id="bulk-answer")
    with gr.Row():
        confirm = gr.Button("Confirm", variant="stop", visible=False, elem_id="bulk-confirm")
        cancel = gr.Button("Do nothing", visible=False)
    pending = gr.State(None)
    hidden = (gr.Button(visible=False), gr.Button(visible=False))

    def count(held: Any, verdict: str, reasons: list[str], request: gr.Request) -> tuple[Any, ...]:
        try:
            person = _lead(who, request)
            rows = result_rows(bench, held, MAX_ROWS)
        except PolysceneError as exc:
            return (None, str(exc), *hidden)
        words = f"{verdict} {_samples(len(rows))}"
        question = (
            f"This will {words} as {person.name}, without looking at them one by one. "
            "Earlier verdicts of yours on them are replaced."
        )
        asked = (secrets.token_hex(8), held, len(rows), verdict, tuple(reasons or ()))
        confirmed = gr.Button(f"Yes, {words}", visible=True)
        return (asked, question, confirmed, gr.Button(visible=True))

    def store(asked: Any, note: str, request: gr.Request) -> tuple[Any, ...]:
        if asked is None:
            return (None, "Count them first. Nothing was stored.", *hidden)
        batch_id, held, expected, verdict, reasons = asked
        try:
            done = decide_all(
                bench.desk,
                _lead(who, request),
                result_rows(bench, held, MAX_ROWS),
                verdict=verdict,
                reasons=reasons,
                note=note or "",
                batch_id=batch_id,
                expected=expected,
            )
        except PolysceneError as exc:
            return (None, str(exc), *hidden)
        words = f"Verdicts stored: {done.num_stored:,}."
        if done.num_with_edits:
            words += f" Left alone, as they carry an edit: {done.num_with_edits:,}."
        return (None, words, *hidden)

    outputs = [pending, answer, confirm, cancel]
    private: dict[str, Any] = {"api_visibility": "private"}
    ask.click(count, [result, verdict, reasons], outputs, **private)
    confirm.click(store, [pending, note], outputs, **private)
    cancel.click(lambda: (None, "Nothing was stored.", *hidden), None, outputs, **private)


def _samples(number: int) -> str:
    return f"{number:,} sample{'' if number == 1 else 's'}"


def _lead(who: Who, request: gr.Request) -> Person:
    person = who(request)
    if person is None or not person.is_lead:
        raise BulkError("only a lead may do this. Nothing was changed.")
    return person


def result_rows(bench: Workbench, held: Any, max_rows: int) -> list[int]:
    """Row numbers of a held result.

    Raises:
        BulkError: There are more than `max_rows`.
        QueryError: Its filter cannot be used.
    """
    marks = review_marks(bench.desk.progress)
    rows = bench.query.rows(held.wanted, limit=max_rows + 1, marks=marks)
    if len(rows) > max_rows:
        raise BulkError(f"more than {max_rows:,} samples. Narrow the search.")
    return rows
