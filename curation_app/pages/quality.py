"""The quality page: scope, alignment and fidelity of the version, as its release measured them."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr
import pandas as pd

from curation_app.data.quality import read_quality
from curation_app.pages.opening import on_open
from curation_app.work.people import Person
from curation_app.work.workbench import Workbench
from schemas.criteria import (
    CRITERIA,
    CRITERION_TITLES,
    Figure,
    figures_of,
    funnel_of,
    has_criteria,
    reasons_not_measured,
    score_changes,
    scores_by_language,
)

Who = Callable[[gr.Request], Person | None]

_HEADS = ("figure", "value", "what it says")
_CELL = 'style="text-align: start; padding: 6px 12px 6px 0; vertical-align: top"'
_NOT_THERE = (
    "This version's quality.json has no such figures, as it was released by an earlier version of "
    "the builder. A release made now has them."
)


def build(bench: Workbench, who: Who) -> None:
    """Adds the page's components; called inside its route."""
    page = _QualityPage(bench)
    gr.Markdown("# Quality")
    summary = gr.Textbox(
        label="Version", interactive=False, lines=2, max_lines=6, elem_id="quality-summary"
    )
    shown: list[Any] = [summary]
    for criterion in CRITERIA:
        gr.Markdown(f"## {CRITERION_TITLES[criterion]}")
        shown.append(gr.HTML(elem_id=f"quality-{criterion}", visible=False))
        shown.append(
            gr.Textbox(
                label="Not measured",
                interactive=False,
                lines=1,
                max_lines=6,
                visible=False,
                elem_id=f"quality-{criterion}-missing",
            )
        )
        if criterion == "alignment":
            shown.append(_plot("language", "median", "Median alignment by language"))
        if criterion == "fidelity":
            shown.append(_plot("stage", "rows", "Left after each stage"))
            shown.append(_plot("criterion", "score", "Scores, 1 to 5", colour="of"))
    on_open(page.open, shown)


def _plot(x: str, y: str, title: str, colour: str | None = None) -> gr.BarPlot:
    return gr.BarPlot(
        x=x, y=y, color=colour, title=title, height=320, x_label_angle=-40, sort=None, visible=False
    )


class _QualityPage:
    """What the page shows; a version never changes, so its report is read once."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._quality: dict[str, Any] | None = None

    def open(self) -> list[Any]:
        if self._quality is None:
            self._quality = read_quality(self._bench.dataset.directory)
        quality = self._quality
        shown: list[Any] = [self._summary(quality)]
        for criterion in CRITERIA:
            figures = [f for f in figures_of(quality) if f.criterion == criterion]
            measured = [figure for figure in figures if figure.value is not None]
            missing = reasons_not_measured(quality, criterion)
            shown.append(gr.HTML(_table(measured), visible=bool(measured)))
            shown.append(gr.Textbox("\n".join(missing), visible=bool(missing)))
            if criterion == "alignment":
                shown.append(_filled(_alignments(quality), ["language", "median"]))
            if criterion == "fidelity":
                stages = [{"stage": stage, "rows": num} for stage, num in funnel_of(quality)]
                shown.append(_filled(stages, ["stage", "rows"]))
                shown.append(_filled(_scores(quality), ["criterion", "score", "of"]))
        return shown

    def _summary(self, quality: dict[str, Any]) -> str:
        manifest = self._bench.dataset.manifest
        name = f"{manifest.name} {manifest.version}"
        if has_criteria(quality):
            return f"{name}: {len(self._bench.dataset):,} rows, measured when it was released."
        return f"{name}: {_NOT_THERE}"


def _table(figures: Sequence[Figure]) -> str:
    """A plain table, which wraps on a narrow screen and which a screen reader reads."""
    rows = "".join(
        f"<tr><th scope='row' {_CELL}>{escape(figure.name)}</th>"
        f"<td {_CELL}><b>{escape(figure.shown)}</b></td>"
        f"<td {_CELL}>{escape(figure.meaning)}</td></tr>"
        for figure in figures
    )
    heads = "".join(f"<th scope='col' {_CELL}>{name}</th>" for name in _HEADS)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _filled(rows: list[dict[str, Any]], columns: list[str]) -> gr.BarPlot:
    """A plot in the order of its rows, with 0 on its axis: a bar is as long as its figure."""
    heights = [row[columns[1]] for row in rows]
    bounds: list[float | None] = [min([0.0, *heights]), max([0.0, *heights])]
    order = list(dict.fromkeys(str(row[columns[0]]) for row in rows))
    frame = pd.DataFrame(rows, columns=columns)
    return gr.BarPlot(frame, y_lim=bounds, sort=order or None, visible=bool(rows))


def _alignments(quality: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"language": language, "median": figures["median"]}
        for language, figures in scores_by_language(quality, "scores").items()
    ]


def _scores(quality: dict[str, Any]) -> list[dict[str, Any]]:
    """A bar for each mean that was measured; side by side, as bars of one name are stacked."""
    return [
        {"criterion": f"{name}, {of.split(',')[0]}", "score": score, "of": of}
        for name, scores in score_changes(quality).items()
        for of, score in zip(("draft, by its teacher", "revision, by a judge"), scores, strict=True)
        if score is not None
    ]
