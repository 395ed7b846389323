"""The comparison as one picture."""

from pathlib import Path
from typing import Any

from schemas.vocabulary import LANGUAGES
from trainer.report import seeds_words

#: Colour and marker of an arm; told apart without colour too.
_STYLES = {
    "untrained": ("#9a9a9a", "|"),
    "english_only": ("#e08214", "o"),
    "multilingual": ("#2166ac", "D"),
}
_NUM_COLUMNS = 3


def plot_recall(report: dict[str, Any], path: Path) -> None:
    """Means with their intervals on top, then one line a language, best first.

    Args:
        report: Content of `recall.json`.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    arms: dict[str, Any] = report["arms"]
    multilingual = arms["multilingual"]["per_language"]
    languages = sorted(multilingual, key=lambda code: (-multilingual[code], code))
    num_rows = -(-len(languages) // _NUM_COLUMNS)
    figure = Figure(figsize=(13, 2.8 + 0.19 * max(num_rows, 8)), dpi=120, layout="constrained")
    grid = figure.add_gridspec(2, _NUM_COLUMNS, height_ratios=[1.1, 0.19 * max(num_rows, 8)])
    _draw_means(figure.add_subplot(grid[0, :]), report)
    for column in range(_NUM_COLUMNS):
        shown = languages[column * num_rows : (column + 1) * num_rows]
        _draw_languages(figure.add_subplot(grid[1, column]), report, shown, num_rows)
    figure.suptitle(
        f"Text-to-image recall@{report['k']}: {report['num_candidates']} held-out concepts, "
        f"{report['num_languages']} languages, {seeds_words(report)}",
        fontweight="bold",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_means(axes: Any, report: dict[str, Any]) -> None:
    arms: dict[str, Any] = report["arms"]
    for height, (name, arm) in enumerate(reversed(arms.items())):
        colour, _ = _STYLES[name]
        low, high = arm["concept_interval"]
        axes.plot([low, high], [height, height], color=colour, alpha=0.35, linewidth=7)
        low, high = arm["seed_interval"]
        axes.plot([low, high], [height, height], color=colour, linewidth=2.5)
        axes.plot(arm["mean"], height, "o", color=colour)
        axes.annotate(
            f"{arm['mean']:.3f}",
            (arm["mean"], height),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    axes.set_yticks(
        range(len(arms)), [name.replace("_", " ") for name in reversed(arms)], fontsize=9
    )
    axes.set_ylim(-0.6, len(arms) - 0.2)
    axes.set_title(
        "mean over languages; dark: 95 % interval over seeds, light: over concepts; dashed: chance",
        fontsize=9,
    )
    _finish(axes, report)


def _draw_languages(axes: Any, report: dict[str, Any], shown: list[str], num_rows: int) -> None:
    heights = range(num_rows - 1, num_rows - 1 - len(shown), -1)
    for name, arm in report["arms"].items():
        colour, marker = _STYLES[name]
        values = [arm["per_language"][code] for code in shown]
        axes.plot(values, heights, marker, color=colour, markersize=5, label=name.replace("_", " "))
    axes.hlines(heights, -1, 2, color="#e6e6e6", linewidth=0.6, zorder=0)
    labels = [LANGUAGES[code].name if code in LANGUAGES else code for code in shown]
    axes.set_yticks(heights, labels, fontsize=7)
    axes.set_ylim(-0.7, num_rows - 0.3)
    _finish(axes, report)


def _finish(axes: Any, report: dict[str, Any]) -> None:
    axes.axvline(report["chance"], color="#555555", linestyle="--", linewidth=0.8)
    highest = max(
        max(*arm["per_language"].values(), arm["concept_interval"][1])
        for arm in report["arms"].values()
    )
    axes.set_xlim(-0.01, min(1.02, highest + 0.05))
    axes.spines[["top", "right"]].set_visible(False)
