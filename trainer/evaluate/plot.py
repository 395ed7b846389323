"""An evaluation as one picture: cells, tasks and languages with their intervals."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from schemas.vocabulary import LANGUAGES
from trainer.evaluate.report import kinds_of, recall_name

_COLOUR = "#2166ac"
_NUM_COLUMNS = 3
_ROW_INCHES = 0.19
_HEAD_INCHES = 0.75


def plot_evaluation(report: dict[str, Any], path: Path) -> None:
    """One panel per section and kind of label, the best first; languages in three columns.

    Args:
        report: Content of `evaluation.json`.
        path: PNG to write.
    """
    panels: list[tuple[dict[str, Any], str, list[str], int]] = []
    for section in report["sections"].values():
        for kind in kinds_of(section):
            entries = section[f"per_{kind}"]
            names = sorted(entries, key=lambda name: (-entries[name]["recall_at_k"], name))
            num_rows = max(-(-len(names) // _NUM_COLUMNS), 2)
            panels.append((section, kind, names, num_rows))
    heights = [_HEAD_INCHES + _ROW_INCHES * num_rows for *_, num_rows in panels]
    figure = Figure(figsize=(13, 0.6 + sum(heights)), dpi=120, layout="constrained")
    grid = figure.add_gridspec(len(panels), _NUM_COLUMNS, height_ratios=heights)
    for line, (section, kind, names, num_rows) in enumerate(panels):
        for column in range(_NUM_COLUMNS):
            shown = names[column * num_rows : (column + 1) * num_rows]
            if shown:
                axes = figure.add_subplot(grid[line, column])
                _draw(axes, section, kind, shown, num_rows, is_first=column == 0)
    figure.suptitle(f"{report['suite']}, {report['data']}", fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw(
    axes: Any,
    section: dict[str, Any],
    kind: str,
    shown: list[str],
    num_rows: int,
    *,
    is_first: bool,
) -> None:
    entries = section[f"per_{kind}"]
    for height, name in zip(range(num_rows - 1, -1, -1), shown, strict=False):
        entry = entries[name]
        axes.hlines(height, -1, 2, color="#e6e6e6", linewidth=0.6, zorder=0)
        axes.plot(entry["interval"], [height, height], color=_COLOUR, alpha=0.4, linewidth=3)
        axes.plot(entry["recall_at_k"], height, "o", color=_COLOUR, markersize=4)
        axes.plot(entry["chance"], height, "|", color="#555555", markersize=7)
    labels = [LANGUAGES[name].name if name in LANGUAGES else name for name in shown]
    axes.set_yticks(range(num_rows - 1, num_rows - 1 - len(shown), -1), labels, fontsize=7)
    axes.set_ylim(-0.7, num_rows - 0.3)
    axes.set_xlim(-0.01, 1.01)
    axes.spines[["top", "right"]].set_visible(False)
    if is_first:
        axes.set_title(
            f"{section['title']}: {recall_name(section['k'])} by {kind}, with 95 % interval; "
            "dark mark: chance",
            fontsize=9,
            loc="left",
        )
