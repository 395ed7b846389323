"""The admin page: people, queues, guidelines, seeded defects, exports, what the next release does.

Everything here is a lead's. Names, titles and texts reach the browser through components that
show them as text.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import numpy as np

from curation_app.data.release_policy import read_release_policy
from curation_app.pages.opening import on_open
from curation_app.store.accounts import Accounts
from curation_app.store.queues import QueueItem
from curation_app.work.adjudication import start_adjudication
from curation_app.work.next_release import preview_next_release
from curation_app.work.people import Person, checked_languages, checked_role
from curation_app.work.progress import Status
from curation_app.work.queues import ReviewMode
from curation_app.work.workbench import Workbench
from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES

Who = Callable[[Any], Person | None]

_ANY = ""
_MAX_QUEUE_ITEMS = 100_000
_MODES = {
    "card": "Accept or reject",
    "forced_choice": "Which candidate matches?",
    "claims": "Tick what the interpretation claims",
}
_QUEUE_COLUMNS = ["id", "title", "origin", "mode", "items", "decided", "open", "overlap", "blind"]
_PEOPLE_COLUMNS = ["name", "role", "languages", "signs in"]


class NotALead(PolysceneError):
    """Somebody who is not a lead asked for what only a lead may do."""


def build(bench: Workbench, who: Who) -> None:
    """Adds the page's components; called inside its route."""
    gr.Markdown("# Admin")
    status = gr.Textbox(label="Last action", interactive=False, lines=1, elem_id="admin-status")
    page = _Page(bench, who, status)
    with gr.Tabs():
        with gr.Tab("Queues"):
            page.queues()
        with gr.Tab("People"):
            page.people()
        with gr.Tab("Guidelines"):
            page.guidelines()
        with gr.Tab("Seeded defects"):
            page.seeded_defects()
        with gr.Tab("Next release"):
            page.next_release()


class _Page:
    """The page's tabs, each with its own components and handlers."""

    def __init__(self, bench: Workbench, who: Who, status: gr.Textbox) -> None:
        self._bench = bench
        self._who = who
        self._status = status
        self._accounts = Accounts(bench.store.database)

    def queues(self) -> None:
        """List of queues; one made from a filter; close, and settle disagreements."""
        table = gr.Dataframe(
            headers=_QUEUE_COLUMNS, interactive=False, label="Queues of this version", wrap=True
        )
        with gr.Row():
            chosen = gr.Dropdown(label="Queue", choices=[], interactive=True)
            close = gr.Button("Close it")
            settle = gr.Button("Settle its disagreements")
        gr.Markdown("### A new queue")
        with gr.Row():
            title = gr.Textbox(label="Title", max_lines=1)
            language = gr.Dropdown(label="Language", choices=self._choices("language"), value=_ANY)
            task = gr.Dropdown(label="Task", choices=self._choices("task_type"), value=_ANY)
            modality = gr.Dropdown(label="Modality", choices=self._choices("modality"), value=_ANY)
            state = gr.Dropdown(label="Status", choices=list(get_args(Status)), value="unreviewed")
        with gr.Row():
            size = gr.Number(label="Samples at most", value=200, precision=0, minimum=1)
            overlap = gr.Number(label="Reviewers per sample", value=1, precision=0, minimum=1)
            mode = gr.Dropdown(
                label="Question",
                choices=[(words, name) for name, words in _MODES.items()],
                value="card",
            )
            blind = gr.Checkbox(label="Blind: hide scores and other verdicts", value=True)
            make = gr.Button("Make the queue", variant="primary")
        outputs = [table, chosen]
        self._load(self._queue_table, outputs)
        self._act(
            make,
            self._make_queue,
            [title, language, task, modality, state, size, overlap, mode, blind],
            self._queue_table,
            outputs,
        )
        self._act(close, self._close_queue, [chosen], self._queue_table, outputs)
        self._act(settle, self._settle, [chosen], self._queue_table, outputs)

    def people(self) -> None:
        """Accounts, and links that invite."""
        table = gr.Dataframe(
            headers=_PEOPLE_COLUMNS, interactive=False, label="Accounts", wrap=True
        )
        gr.Markdown(
            "The first account is made on the command line: "
            "`python -m curation_app people add NAME --role lead`. "
            "From then on everybody signs in."
        )
        with gr.Row():
            role = gr.Dropdown(label="Role", choices=["reviewer", "lead"], value="reviewer")
            languages = gr.Dropdown(
                label="Languages they read (none: all)",
                choices=[(f"{known.name} ({code})", code) for code, known in LANGUAGES.items()],
                multiselect=True,
            )
            invite = gr.Button("Make an invitation", variant="primary")
            link = gr.Textbox(label="Link, for one use", interactive=False, buttons=["copy"])
        with gr.Row():
            name = gr.Dropdown(label="Account", choices=[])
            deactivate = gr.Button("Deactivate")
            activate = gr.Button("Let in again")
        outputs = [table, name]
        self._load(self._people_table, outputs)
        invite.click(
            self._invite, [role, languages], [link, self._status], api_visibility="private"
        )
        for button, is_active in ((deactivate, False), (activate, True)):
            self._act(button, self._set_active(is_active), [name], self._people_table, outputs)

    def guidelines(self) -> None:
        """The text in force, and the next one."""
        text = gr.Textbox(
            label="Guidelines, as reviewers see them", lines=14, max_lines=30, interactive=True
        )
        publish = gr.Button("Publish as the next version", variant="primary")
        self._load(self._guideline_text, [text])
        self._act(publish, self._publish, [text], self._guideline_text, [text])

    def seeded_defects(self) -> None:
        """How many planted defects each audit's reviewers were shown, and found."""
        table = gr.Dataframe(
            headers=["audit", "kind", "shown", "found"],
            interactive=False,
            label="Planted defects are never exported or released",
        )
        self._load(self._seed_table, [table])

    def next_release(self) -> None:
        """What a release from these reviews would do, and the reviews as a file."""
        table = gr.Dataframe(headers=["what happens", "rows"], interactive=False)
        refused = gr.Dataframe(
            headers=["sample", "edited by", "why the release drops it"],
            interactive=False,
            label="Edits that break a rule",
            wrap=True,
        )
        with gr.Row():
            preview = gr.Button("Count again")
            prepare = gr.Button("Prepare the export of reviews")
            download = gr.DownloadButton("Download reviews.jsonl", visible=False)
        self._load(self._preview, [table, refused])
        preview.click(self._preview, None, [table, refused], api_visibility="private")
        prepare.click(self._export, None, [download, self._status], api_visibility="private")

    # What the tabs show

    def _queue_table(self) -> tuple[Any, Any]:
        rows = []
        for queue in self._bench.queues.all(include_closed=True):
            progress = self._bench.queues.progress(queue.queue_id)
            rows.append(
                [
                    *(queue.queue_id, queue.title, queue.origin, _MODES[queue.mode]),
                    *(progress.num_items, progress.num_done),
                    "closed" if queue.closed_ts else progress.num_leased,
                    *(queue.overlap, "yes" if queue.is_blind else "no"),
                ]
            )
        choices = [(f"{row[1]} ({row[0]})", row[0]) for row in rows]
        return rows or None, gr.Dropdown(choices=choices, value=None)

    def _people_table(self) -> tuple[Any, Any]:
        accounts = self._accounts.all()
        rows = [
            [
                account.name,
                account.role,
                "all" if account.languages is None else ", ".join(sorted(account.languages)),
                "yes" if account.is_active else "no",
            ]
            for account in accounts
        ]
        return rows or None, gr.Dropdown(choices=[account.name for account in accounts], value=None)

    def _guideline_text(self) -> str:
        current = self._bench.guidelines.current()
        return "" if current is None else current.text

    def _seed_table(self) -> Any:
        return [list(row) for row in self._bench.audits.seed_summary()] or None

    def _preview(self) -> tuple[Any, Any]:
        bench = self._bench
        policy = read_release_policy(bench.dataset.directory, bench.dataset.manifest)
        found = preview_next_release(bench.dataset, bench.desk.progress, policy)
        rows = [
            ["rows of this version", found.num_rows],
            *([f"removed: {reason}", count] for reason, count in sorted(found.removed.items())),
            ["released with edits", found.num_edited],
            ["released as accepted", found.num_accepted],
            ["rejected by too few reviewers, stay", found.num_undecided],
            ["rows of the next release", found.num_kept],
        ]
        refused = [[edit.sample_id, edit.edited_by, edit.problem] for edit in found.refused_edits]
        return rows, refused or None

    # What a lead does

    def _make_queue(
        self,
        lead: Person,
        title: str,
        language: str,
        task: str,
        modality: str,
        state: Status,
        size: float,
        overlap: float,
        mode: ReviewMode,
        blind: bool,
    ) -> str:
        bench = self._bench
        mask = bench.dataset.matching(
            language=language or None, task_type=task or None, modality=modality or None
        )
        mask &= bench.desk.progress.matching(state, lead.name)
        rows = np.flatnonzero(mask)[: min(int(size or 1), _MAX_QUEUE_ITEMS)]
        items = [
            QueueItem(bench.dataset.sample_id(int(row)), bench.dataset.value("language", int(row)))
            for row in rows
        ]
        queue = bench.queues.create(
            title=title,
            origin="filter",
            items=items,
            created_by=lead.name,
            overlap=int(overlap or 1),
            is_blind=bool(blind),
            mode=mode,
        )
        return f"Made the queue {queue.title} with {len(items):,} samples: /?queue={queue.queue_id}"

    def _close_queue(self, _: Person, queue_id: str | None) -> str:
        queue = self._bench.queues.get(queue_id or "")
        self._bench.queues.close(queue.queue_id)
        return f"Closed {queue.title}. Its verdicts are kept."

    def _settle(self, lead: Person, queue_id: str | None) -> str:
        bench = self._bench
        made = start_adjudication(bench.queues, bench.store, queue_id or "", lead=lead)
        num_items = bench.queues.progress(made.queue_id).num_items
        return f"Made the queue {made.title} with {num_items:,} samples: /?queue={made.queue_id}"

    def _set_active(self, is_active: bool) -> Callable[..., str]:
        def act(_: Person, name: str | None) -> str:
            self._accounts.set_active(name or "", is_active)
            return f"{name} {'may sign in again' if is_active else 'is signed out everywhere'}."

        return act

    def _publish(self, lead: Person, text: str) -> str:
        made = self._bench.guidelines.publish(text, author=lead)
        return f"Version {made.version} of the guidelines is in force."

    def _invite(self, role: str, languages: list[str] | None, request: gr.Request) -> Any:
        def act() -> tuple[str, str]:
            lead = self._lead(request)
            token = self._accounts.invite(
                role=checked_role(role),
                languages=checked_languages(languages or ()),
                created_by=lead.name,
            )
            root = str(request.url).split("/gradio_api", 1)[0]
            return f"{root}/invite/{token}", "Made an invitation. Send the link to one person."

        try:
            return act()
        except PolysceneError as exc:
            return "", str(exc)

    def _export(self, request: gr.Request) -> Any:
        try:
            self._lead(request)
            output = Path(tempfile.mkdtemp(prefix="polyscene-export-")) / "reviews.jsonl"
            num_events = self._bench.store.export(output)
        except PolysceneError as exc:
            return gr.DownloadButton(visible=False), str(exc)
        shown = gr.DownloadButton(value=str(output), visible=True)
        return shown, f"The export holds {num_events:,} events."

    # Plumbing

    def _act(
        self,
        button: gr.Button,
        act: Callable[..., str],
        inputs: list[Any],
        refresh: Callable[[], Any],
        outputs: list[Any],
    ) -> None:
        """Wires a button to what a lead does; its outcome or problem is said, then all is shown."""

        def handler(request: gr.Request, *given: Any) -> Any:
            try:
                said = act(self._lead(request), *given)
            except PolysceneError as exc:
                said = str(exc)
            shown = refresh()
            return (*shown, said) if isinstance(shown, tuple) else (shown, said)

        button.click(
            handler,
            inputs,
            [*outputs, self._status],
            api_visibility="private",
        )

    def _load(self, show: Callable[[], Any], outputs: list[Any]) -> None:
        """Shows something when a lead opens the page."""

        def handler(request: gr.Request) -> Any:
            person = self._who(request)
            if person is None or not person.is_lead:
                return [None] * len(outputs) if len(outputs) > 1 else None
            return show()

        on_open(handler, outputs)

    def _lead(self, request: gr.Request) -> Person:
        person = self._who(request)
        if person is None or not person.is_lead:
            raise NotALead("Only a lead may do this. Nothing was changed.")
        return person

    def _choices(self, key: str) -> list[tuple[str, str]]:
        counts = self._bench.dataset.counts(key)
        return [
            ("any", _ANY),
            *((f"{value} ({count:,})", value) for value, count in counts.items()),
        ]
