"""The coverage page: rows of each language, task and modality against target, scores, drops.

A click on a cell offers the review page with that filter, a search, and a queue.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urlencode

import gradio as gr
import numpy as np
import pandas as pd

from curation_app.data.coverage import SCORES, Coverage, read_coverage
from curation_app.data.query import RowFilter
from curation_app.pages.opening import on_open
from curation_app.pages.search_acts import add_queue_form
from curation_app.work.marks import review_marks
from curation_app.work.people import Person
from curation_app.work.workbench import Workbench
from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES, Cell, Slot

Who = Callable[[gr.Request], Person | None]
View = Literal["rows", "percent of target", "missing", "percent reviewed"]

_NUM_FIXED = 3
_WHOLE = "all"
#: Below this share of its target a cell is shown as short.
_SHORT = 0.95


@dataclass(slots=True)
class Chosen:
    """The cell of the table that was clicked; `wanted` is what queue forms read."""

    wanted: RowFilter = field(default_factory=RowFilter)


def build(bench: Workbench, who: Who) -> None:
    """Adds the page's components; called inside its route."""
    page = _CoveragePage(bench)
    gr.Markdown("# Coverage")
    summary = gr.Textbox(label="Version", interactive=False, lines=1, elem_id="coverage-summary")
    view = gr.Radio(
        label="Show",
        choices=list(get_args(View)),
        value="rows",
        elem_id="coverage-view",
    )
    table = gr.Dataframe(
        datatype="str",
        interactive=False,
        max_height=560,
        pinned_columns=1,
        show_label=False,
        elem_id="coverage-table",
    )
    chosen = gr.State(Chosen())
    with gr.Row():
        cell = gr.Textbox(
            label="Chosen cell (click one)",
            interactive=False,
            max_lines=1,
            elem_id="coverage-cell",
        )
        review = gr.Button("Review these", interactive=False, elem_id="coverage-review")
        search = gr.Button("Search these", interactive=False, elem_id="coverage-search")
    with gr.Accordion("Make a queue from this cell", open=False):
        add_queue_form(bench, who, chosen, origin="filter")
    with gr.Row():
        languages = gr.BarPlot(
            x="language",
            y="rows",
            color="of",
            title="Rows by language",
            height=300,
            x_label_angle=-60,
        )
    with gr.Row():
        scores = gr.BarPlot(
            x="score",
            y="rows",
            color="criterion",
            title="The teacher's scores",
            height=340,
            x_label_angle=-40,
        )
        alignments = gr.BarPlot(
            x="alignment", y="rows", title="Alignment scores", height=260, visible=False
        )
        drops = gr.BarPlot(
            x="reason", y="rows", color="stage", title="Dropped", height=340, x_label_angle=-40
        )
    with gr.Row():
        reasons = gr.Dataframe(
            headers=["stage", "reason", "rows"],
            interactive=False,
            label="What was dropped and why",
            elem_id="coverage-drops",
        )
        by_language = gr.Dataframe(
            headers=["language", "dropped", "published"],
            interactive=False,
            max_height=300,
            label="Dropped by language",
        )
    shown = [summary, table, languages, scores, alignments, drops, reasons, by_language]
    on_open(page.open, shown, is_slow=True)
    view.change(page.table, [view], [table], api_visibility="private", queue=False)
    table.select(
        page.choose, None, [chosen, cell, review, search], api_visibility="private", queue=False
    )


class _CoveragePage:
    """What the page shows; the version never changes, so it is counted once."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._coverage: Coverage | None = None

    def open(self) -> list[Any]:
        try:
            coverage = self._counted()
        except PolysceneError as exc:
            return [str(exc), *(gr.skip() for _ in range(7))]
        alignments = pd.DataFrame(
            [{"alignment": f"{low:.1f}", "rows": n} for low, n in coverage.alignments.items()],
            columns=["alignment", "rows"],
        )
        return [
            self._summary(coverage),
            self.table("rows"),
            _languages(coverage),
            _scores(coverage),
            gr.BarPlot(alignments, visible=bool(coverage.alignments)),
            _drops(coverage),
            [[drop.stage, drop.reason, drop.num_rows] for drop in coverage.drops],
            [
                [LANGUAGES[code].name, number, coverage.of_language(code)[0]]
                for code, number in sorted(
                    coverage.drops_by_language.items(), key=lambda entry: -entry[1]
                )
            ],
        ]

    def table(self, view: View) -> Any:
        """The table of languages by cells; short cells are marked by colour."""
        coverage = self._counted()
        cells = coverage.cells
        reviewed = self._reviewed() if view == "percent reviewed" else {}
        rows, colours = [], []
        for code in coverage.languages:
            have, want = coverage.of_language(code)
            in_cells = [
                (
                    coverage.counts.get((cell.task_type, cell.modality, code), 0),
                    None
                    if coverage.targets is None
                    else coverage.targets.get((cell.task_type, cell.modality, code), 0.0),
                    reviewed.get((cell.task_type, cell.modality, code), 0),
                )
                for cell in cells
            ]
            done = sum(entry[2] for entry in in_cells)
            entries = [(have, want, done), *in_cells]
            rows.append([LANGUAGES[code].name, code, *(_shown(view, *entry) for entry in entries)])
            colours.append(["", "", *(_colour(view, *entry) for entry in entries)])
        columns = ["language", "code", _WHOLE, *(_title(cell) for cell in cells)]
        frame = pd.DataFrame(rows, columns=columns)
        styles = pd.DataFrame(colours, columns=columns)
        return frame.style.apply(lambda _: styles, axis=None)

    def choose(self, event: gr.SelectData) -> tuple[Any, ...]:
        """What a clicked cell offers."""
        coverage = self._counted()
        _, column = event.index if isinstance(event.index, (list, tuple)) else (0, 0)
        # The row as it was clicked: its index would be another once the browser has sorted.
        language = str((event.row_value or ["", ""])[1])
        if language not in coverage.languages:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        place = column - _NUM_FIXED
        cell = coverage.cells[place] if 0 <= place < len(coverage.cells) else None
        wanted = RowFilter(languages=(language,))
        asked = {"language": language}
        name = LANGUAGES[language].name
        if cell is not None:
            wanted = RowFilter(
                languages=(language,), task_types=(cell.task_type,), modalities=(cell.modality,)
            )
            asked |= {"task_type": cell.task_type, "modality": cell.modality}
            name += f", {cell.task_type} {cell.modality}"
        return (
            Chosen(wanted),
            f"{name}: {self._bench.query.count(wanted):,} rows",
            gr.Button(interactive=True, link=f"./?{urlencode(asked)}"),
            gr.Button(interactive=True, link=f"./search?{urlencode(asked)}"),
        )

    def _counted(self) -> Coverage:
        if self._coverage is None:
            self._coverage = read_coverage(self._bench.query)
        return self._coverage

    def _reviewed(self) -> dict[Slot, int]:
        """Rows with a verdict, by slot."""
        dataset = self._bench.dataset
        marks = review_marks(self._bench.desk.progress)
        found: dict[Slot, int] = {}
        for row in np.flatnonzero(~marks["unreviewed"]).tolist():
            slot = (
                dataset.value("task_type", row),
                dataset.value("modality", row),
                dataset.value("language", row),
            )
            found[slot] = found.get(slot, 0) + 1
        return found

    def _summary(self, coverage: Coverage) -> str:
        manifest = self._bench.dataset.manifest
        words = f"{manifest.name} {manifest.version}: {len(self._bench.dataset):,} rows"
        words += f" in {len({slot[2] for slot in coverage.counts})} languages"
        if coverage.targets is None:
            return f"{words}. The release does not say what was wanted."
        short = sum(
            coverage.counts.get(slot, 0) < _SHORT * want - 0.5
            for slot, want in coverage.targets.items()
        )
        wanted = sum(coverage.targets.values())
        return f"{words}; {wanted:,.0f} wanted; {short:,} cells are more than 5 % short."


def _title(cell: Cell) -> str:
    return f"{cell.task_type} {cell.modality}"


def _shown(view: View, have: int, want: float | None, reviewed: int) -> str:
    if view == "rows":
        return f"{have:,}" if want is None else f"{have:,} / {want:,.0f}"
    if view == "percent reviewed":
        return f"{100 * reviewed / have:.0f} %" if have else ""
    if want is None:
        return "not known"
    if view == "missing":
        return f"{max(want - have, 0):,.0f}"
    return f"{100 * have / want:.0f} %" if want >= 0.5 else ""


def _colour(view: View, have: int, want: float | None, reviewed: int) -> str:
    """Amber where a cell is short, red where it is empty; the numbers say the same."""
    if view == "percent reviewed" or want is None or have >= _SHORT * want - 0.5:
        return ""
    return f"background-color: {'#f3c9c3' if have == 0 else '#f6e3b8'}; color: #22252a"


def _languages(coverage: Coverage) -> pd.DataFrame:
    entries = []
    for code in coverage.languages:
        have, want = coverage.of_language(code)
        entries.append({"language": code, "rows": have, "of": "published"})
        if want is not None and want > have:
            entries.append({"language": code, "rows": want - have, "of": "missing"})
    return pd.DataFrame(entries, columns=["language", "rows", "of"])


def _scores(coverage: Coverage) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "score": f"{name} {score}",
                "rows": coverage.scores[name].get(score, 0),
                "criterion": name,
            }
            for name in SCORES
            for score in range(1, 6)
        ]
    )


def _drops(coverage: Coverage) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"reason": drop.reason, "rows": drop.num_rows, "stage": drop.stage}
            for drop in coverage.drops
        ],
        columns=["reason", "rows", "stage"],
    )
