"""The audit page: design one, follow it while it runs, close it, take its report home.

While an audit runs its figures are for leads: a reviewer who saw the rate
would no longer judge the next row alone. Strata are codes of our vocabulary;
titles and names reach the browser through components that show them as text.
"""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from curation_app.pages.audit_form import AuditForm, make_design
from curation_app.pages.opening import on_open
from curation_app.work.audit_report import interval_plot, write_report
from curation_app.work.audit_words import (
    SEED_WORDS,
    between,
    describe_decision,
    describe_figures,
    describe_plan,
    describe_population,
    describe_purpose,
    percent,
)
from curation_app.work.audits import Audit, AuditError
from curation_app.work.people import Person
from curation_app.work.workbench import Workbench
from schemas.audit import AuditFigures, Rate
from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES, MODALITIES, TASK_TYPES

Who = Callable[[gr.Request], Person | None]

_REFRESH_S = 15
_AUDIT_COLUMNS = ["audit", "title", "state", "items", "decided", "started by"]
_STRATUM_COLUMNS = ["stratum", "rows", "drawn", "decided", "defects", "rate", "interval"]
_REVIEWER_COLUMNS = ["reviewer", "verdicts", "defects", "planted shown", "planted found"]
_REVIEWER_COLUMNS += ["finds", "passes"]
_CODES = {"", "all", *LANGUAGES, *MODALITIES, *TASK_TYPES}

_PLOT_STYLE = """
svg { display: block; max-width: 100%; }
svg text { fill: var(--body-text-color); font-size: 13px; }
svg .soft { fill: var(--body-text-color-subdued); }
svg .grid { stroke: var(--border-color-primary); }
svg .bar { stroke: var(--color-accent); stroke-width: 3; }
svg .dot { fill: var(--color-accent); }
svg .few .bar { stroke-dasharray: 3 3; }
"""


def build(bench: Workbench, who: Who) -> None:
    """Adds the page's components; called inside its route."""
    gr.Markdown("# Audit")
    page = AuditPage(bench, who)
    page.list_of_audits()
    with gr.Column(visible=False) as found:
        page.figures()
    with gr.Accordion("Design a new audit", open=not bench.audits.all()):
        page.design()
    page.wire(found)


class AuditPage:
    """The page's components and what they do."""

    def __init__(self, bench: Workbench, who: Who) -> None:
        self._bench = bench
        self._who = who

    def list_of_audits(self) -> None:
        """Every audit of the version, and one to look at."""
        self._said = gr.Textbox(label="Last action", interactive=False, elem_id="audit-said")
        self._table = gr.Dataframe(
            headers=_AUDIT_COLUMNS,
            interactive=False,
            label="Audits of this version",
            wrap=True,
            elem_id="audit-list",
        )
        with gr.Row():
            self._chosen = gr.Dropdown(label="Audit", choices=[], elem_id="audit-chosen")
            self._open = gr.Button("Review its rows", link="./", interactive=False)
            self._close = gr.Button("Close it", variant="stop", elem_id="audit-close")

    def figures(self) -> None:
        """What the chosen audit has found."""
        self._decision = gr.Textbox(
            label="Where it stands", interactive=False, elem_id="audit-decision"
        )
        self._facts = gr.Dataframe(
            headers=["what", "found"],
            interactive=False,
            label="Figures",
            wrap=True,
            column_widths=["30%", "70%"],
        )
        self._plot = gr.HTML(css_template=_PLOT_STYLE, js_on_load=None, elem_id="audit-plot")
        self._strata = gr.Dataframe(
            headers=_STRATUM_COLUMNS, interactive=False, label="By stratum", max_height=420
        )
        with gr.Row():
            self._facets = gr.Dataframe(
                headers=["facet", "defects", "rate", "interval"],
                interactive=False,
                label="By facet",
            )
            self._seeds = gr.Dataframe(
                headers=["planted defects", "planted", "verdicts", "found"],
                interactive=False,
                label="Planted defects",
            )
        self._reviewers = gr.Dataframe(
            headers=_REVIEWER_COLUMNS, interactive=False, label="Reviewers (leads see this)"
        )
        self._plan = gr.Textbox(label="Its design", interactive=False, lines=2, max_lines=8)
        with gr.Row():
            self._page_file = gr.DownloadButton("Report as a page (HTML)", interactive=False)
            self._data_file = gr.DownloadButton("Report as data (JSON)", interactive=False)

    def design(self) -> None:
        """The form of a new audit."""
        self._form = AuditForm(self._bench)
        with gr.Row():
            self._title = gr.Textbox(label="Title", max_lines=1, elem_id="audit-title")
            self._start = gr.Button("Start the audit", variant="primary", elem_id="audit-start")

    def wire(self, found: gr.Column) -> None:
        """Connects everything; called when all components are there.

        Args:
            found: Holds the figures; hidden while no audit is chosen.
        """
        shown = [
            *(
                found,
                self._open,
                self._close,
                self._decision,
                self._facts,
                self._plot,
                self._strata,
            ),
            *(self._facets, self._seeds, self._reviewers, self._plan),
            *(self._page_file, self._data_file),
        ]
        listed = [self._table, self._chosen]
        on_open(self._list, listed)
        self._chosen.change(
            self.show, self._chosen, shown, api_visibility="private", show_progress="hidden"
        )
        gr.Timer(_REFRESH_S).tick(
            self.show, self._chosen, shown, api_visibility="private", show_progress="hidden"
        )
        self._form.start(self._start, self._title, self.start_audit, [*listed, self._said])
        self._close.click(
            self.close_audit,
            self._chosen,
            [*listed, self._said],
            api_visibility="private",
        ).then(self.show, self._chosen, shown, api_visibility="private")

    # What is shown

    def _list(self, chosen: str | None = None) -> tuple[Any, Any]:
        audits = self._bench.audits.all()
        rows: list[list[Any]] = []
        for audit in audits:
            progress = self._bench.queues.progress(audit.queue_id)
            state = "closed" if audit.is_closed else "open"
            rows.append(
                [
                    *(audit.audit_id, audit.design.title, state),
                    *(f"{progress.num_items:,}", f"{progress.num_done:,}", audit.created_by),
                ]
            )
        choices = [(f"{audit.design.title} ({audit.audit_id})", audit.audit_id) for audit in audits]
        value = chosen or (audits[-1].audit_id if audits else None)
        return rows or None, gr.Dropdown(choices=choices, value=value)

    def show(self, audit_id: str | None, request: gr.Request) -> list[Any]:
        """What the page shows of an audit to whoever asks, one value a component."""
        person = self._who(request)
        if not audit_id or person is None:
            return _nothing("No audit is chosen.")
        try:
            audit = self._bench.audits.get(audit_id)
            if not audit.is_closed and not person.is_lead:
                return self._shown_to_reviewers(audit)
            return self._shown(audit, person)
        except PolysceneError as exc:
            return _nothing(str(exc))

    def _shown_to_reviewers(self, audit: Audit) -> list[Any]:
        progress = self._bench.queues.progress(audit.queue_id)
        said = f"{progress.num_done:,} of {progress.num_items:,} items are decided. "
        shown = _nothing(f"{said}What they say is shown when the audit is closed.")
        shown[:2] = gr.update(visible=True), _link(audit)
        return shown

    def _shown(self, audit: Audit, person: Person) -> list[Any]:
        figures = self._bench.audits.figures(audit.audit_id)
        facts = [list(fact) for fact in describe_figures(audit.design, figures)]
        reviewers = self._reviewer_rows(audit) if person.is_lead else []
        page, data = self._files(audit)
        return [
            gr.update(visible=True),
            _link(audit),
            gr.update(interactive=person.is_lead and not audit.is_closed),
            describe_decision(audit.plan, figures, is_closed=audit.is_closed),
            facts or None,
            _plot(figures),
            _stratum_rows(figures) or None,
            [[one.facet, *_cells(one)] for one in figures.facets] or None,
            [
                [SEED_WORDS[one.kind], one.num_planted, one.num_shown, one.num_found]
                for one in figures.seeds
            ]
            or None,
            reviewers or None,
            _design_words(audit),
            page,
            data,
        ]

    def _reviewer_rows(self, audit: Audit) -> list[list[Any]]:
        return [
            [
                *(one.name, one.num_votes, one.num_defects),
                *(one.num_seeds_shown, one.num_seeds_found),
                "" if one.sensitivity is None else percent(one.sensitivity),
                "" if one.specificity is None else percent(one.specificity),
            ]
            for one in self._bench.audits.reviewers(audit.audit_id)
        ]

    def _files(self, audit: Audit) -> tuple[Any, Any]:
        if not audit.is_closed:
            return gr.update(interactive=False), gr.update(interactive=False)
        page, data = write_report(self._bench.audits.report(audit.audit_id), _report_folder())
        return (
            gr.update(value=str(page), interactive=True),
            gr.update(value=str(data), interactive=True),
        )

    # What a lead does

    def start_audit(self, request: gr.Request, title: str, *given: Any) -> Any:
        """Starts what the form says; returns the list of audits and what happened."""

        def act(lead: Person) -> tuple[str, str]:
            design = make_design(title, *given)
            started = self._bench.audits.start(design, lead)
            num = started.plan.num_verdicts
            return started.audit_id, f"Started {started.design.title}: {num:,} verdicts to give."

        return self._act(request, act, None)

    def close_audit(self, request: gr.Request, audit_id: str | None) -> Any:
        """Closes an audit; returns the list of audits and what happened."""

        def act(lead: Person) -> tuple[str, str]:
            report = self._bench.audits.close(audit_id or "", lead)
            said = describe_decision(report.plan, report.figures, is_closed=True)
            return report.audit_id, f"Closed {report.design.title}. {said}"

        return self._act(request, act, audit_id)

    def _act(
        self,
        request: gr.Request,
        act: Callable[[Person], tuple[str, str]],
        chosen: str | None,
    ) -> Any:
        try:
            person = self._who(request)
            if person is None or not person.is_lead:
                raise AuditError("Only a lead starts or closes an audit. Nothing was changed.")
            chosen, said = act(person)
        except PolysceneError as exc:
            said = str(exc)
        return (*self._list(chosen), said)


@cache
def _report_folder() -> Path:
    """Where reports lie for the browser to fetch; gone when the process ends."""
    folder = tempfile.mkdtemp(prefix="polyscene-audits-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _nothing(said: str) -> list[Any]:
    off = gr.update(interactive=False)
    tables = [None, None, None, None]
    return [gr.update(visible=False), off, off, said, None, "", *tables, "", off, off]


def _design_words(audit: Audit) -> str:
    population = describe_population(audit.design.population)
    said = f"{describe_purpose(audit.design)} Population: {population}."
    return " ".join([said, *describe_plan(audit.design, audit.plan)])


def _link(audit: Audit) -> Any:
    return gr.update(link=f"./?queue={audit.queue_id}", interactive=not audit.is_closed)


def _plot(figures: AuditFigures) -> str:
    """The intervals as a picture; only of names that are codes of the vocabulary."""
    if figures.overall is None:
        return ""
    rates = [figures.overall, *(one.found for one in figures.strata if one.found is not None)]
    known = [rate for rate in rates if set(rate.name.split(" ")) <= _CODES]
    return interval_plot(known, label="Defect rates with their intervals; numbers in the tables")


def _stratum_rows(figures: AuditFigures) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for one in figures.strata:
        found = ["", "", ""] if one.found is None else _cells(one.found)
        num = 0 if one.found is None else one.found.num
        rows.append([one.name, f"{one.population:,}", one.num_drawn, num, *found])
    return rows


def _cells(rate: Rate) -> list[Any]:
    return [rate.num_defects, percent(rate.rate), between(rate.low, rate.high)]
