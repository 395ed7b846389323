"""A comparison as one picture: means and differences, languages or cells, recall against size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.vocabulary import LANGUAGES
from trainer.compare.arms import ENGLISH_ONLY, MULTILINGUAL, UNTRAINED
from trainer.compare.report import title
from trainer.evaluate.report import recall_name

#: Colour and marker of an arm; told apart without colour too.
_STYLES = {
    UNTRAINED: ("#9a9a9a", "|"),
    ENGLISH_ONLY: ("#e08214", "o"),
    MULTILINGUAL: ("#2166ac", "D"),
}
_OTHERS = (
    ("#2166ac", "D"),
    ("#e08214", "o"),
    ("#1b7837", "s"),
    ("#762a83", "^"),
    ("#b2182b", "v"),
    ("#35978f", "P"),
    ("#8c510a", "X"),
)
_NUM_COLUMNS = 3
_ROW_INCHES = 0.19


def plot_comparison(report: dict[str, Any], path: Path) -> None:
    """Means and differences with their intervals on top, then one line per language or cell.

    Recall against size stands between them where there are sizes; the best line comes first.

    Args:
        report: Content of `recall.json`.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    arms: dict[str, Any] = report["arms"]
    styles = _styles(arms)
    curves = _curves(arms)
    first = [*arms.values()][-1]["per_language"]
    strata = sorted(first, key=lambda name: (-first[name], name))
    num_rows = max(-(-len(strata) // _NUM_COLUMNS), 3)
    top = 0.5 + 0.32 * max(len(arms), len(report["differences"]), 3)
    heights = [top, *([3.2] if curves else []), 0.5 + _ROW_INCHES * num_rows]
    figure = Figure(figsize=(13, 0.8 + sum(heights)), dpi=120, layout="constrained")
    grid = figure.add_gridspec(len(heights), _NUM_COLUMNS * 2, height_ratios=heights)
    half = _NUM_COLUMNS
    _draw_means(figure.add_subplot(grid[0, :half]), report, styles)
    _draw_differences(figure.add_subplot(grid[0, half:]), report)
    if curves:
        _draw_curves(figure.add_subplot(grid[1, :]), report, curves, styles)
    for column in range(_NUM_COLUMNS):
        shown = strata[column * num_rows : (column + 1) * num_rows]
        axes = figure.add_subplot(grid[-1, 2 * column : 2 * column + 2])
        _draw_strata(axes, report, shown, num_rows, styles)
    figure.suptitle(title(report), fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _styles(arms: dict[str, Any]) -> dict[str, tuple[str, str]]:
    others = [name for name in arms if name not in _STYLES]
    return {
        **{name: _STYLES[name] for name in arms if name in _STYLES},
        **{name: _OTHERS[number % len(_OTHERS)] for number, name in enumerate(others)},
    }


def _curves(arms: dict[str, Any]) -> dict[str, list[str]]:
    """Arms of each family that has several sizes, the smallest first."""
    families: dict[str, list[str]] = {}
    for name, arm in arms.items():
        if arm["num_rows"]:
            families.setdefault(arm["family"], []).append(name)
    return {
        family: sorted(names, key=lambda name: arms[name]["num_rows"])
        for family, names in families.items()
        if len({arms[name]["num_rows"] for name in names}) > 1
    }


def _draw_means(axes: Any, report: dict[str, Any], styles: dict[str, tuple[str, str]]) -> None:
    arms: dict[str, Any] = report["arms"]
    for height, (name, arm) in enumerate(reversed(arms.items())):
        colour, _ = styles[name]
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
    names = [name.replace("_", " ") for name in reversed(arms)]
    axes.set_yticks(range(len(arms)), names, fontsize=9)
    axes.set_ylim(-0.6, len(arms) - 0.2)
    axes.set_title(
        f"mean over {report['stratum']}s; dark: 95 % interval over seeds,\n"
        "light: over concepts; dashed: chance",
        fontsize=9,
    )
    _finish(axes, report)


def _draw_differences(axes: Any, report: dict[str, Any]) -> None:
    entries = report["differences"]
    for height, entry in enumerate(reversed(entries)):
        colour = "#2166ac" if entry["is_found"] else "#9a9a9a"
        axes.plot(entry["interval"], [height, height], color=colour, linewidth=2.5)
        axes.plot(entry["mean"], height, "o", color=colour)
        axes.annotate(
            f"{entry['mean']:+.3f}",
            (entry["mean"], height),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    labels = [f"{entry['first']}\nminus {entry['second']}" for entry in reversed(entries)]
    axes.set_yticks(range(len(entries)), [name.replace("_", " ") for name in labels], fontsize=8)
    axes.set_ylim(-0.6, max(len(entries), 1) - 0.2)
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_title(
        f"difference in {recall_name(report['k'])}; 95 % interval over seeds and concepts\n"
        "together; blue: zero is outside",
        fontsize=9,
    )
    axes.spines[["top", "right"]].set_visible(False)


def _draw_curves(
    axes: Any,
    report: dict[str, Any],
    curves: dict[str, list[str]],
    styles: dict[str, tuple[str, str]],
) -> None:
    """Recall against training rows, log scale, as the paper's figure 5."""
    for family, names in curves.items():
        colour, marker = styles[names[0]]
        sizes = [report["arms"][name]["num_rows"] for name in names]
        means = [report["arms"][name]["mean"] for name in names]
        ends = [report["arms"][name]["seed_interval"] for name in names]
        label = family.replace("_", " ")
        axes.plot(sizes, means, color=colour, marker=marker, markersize=5, label=label)
        axes.fill_between(
            sizes, [low for low, _ in ends], [high for _, high in ends], color=colour, alpha=0.15
        )
    axes.axhline(report["chance"], color="#555555", linestyle="--", linewidth=0.8)
    axes.set_xscale("log")
    ticks = sorted(
        {report["arms"][name]["num_rows"] for names in curves.values() for name in names}
    )
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axes.minorticks_off()
    axes.set_xlabel("training rows", fontsize=9)
    axes.set_ylabel(recall_name(report["k"]), fontsize=9)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_strata(
    axes: Any,
    report: dict[str, Any],
    shown: Sequence[str],
    num_rows: int,
    styles: dict[str, tuple[str, str]],
) -> None:
    heights = range(num_rows - 1, num_rows - 1 - len(shown), -1)
    for name, arm in report["arms"].items():
        colour, marker = styles[name]
        values = [arm["per_language"][code] for code in shown]
        axes.plot(values, heights, marker, color=colour, markersize=5)
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
