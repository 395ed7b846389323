"""A suite's outcomes as JSON, as a table and as one sentence."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from schemas.vocabulary import LANGUAGES
from trainer.evaluate.outcomes import Outcomes, mean_over, metrics, summarise, summarise_by

EVALUATION_NAME = "evaluation.json"
PLOT_NAME = "evaluation.png"


def describe_suite(
    outcomes: Outcomes,
    title: str,
    *,
    kinds: Sequence[str],
    mean_kind: str | None,
    num_resamples: int,
    crossed: tuple[str, str] | None = None,
    num_units: int | None = None,
) -> dict[str, Any]:
    """One section of a report, as plain values.

        section = describe_suite(outcomes, "XTD", kinds=("language",), mean_kind="language",
                                 num_resamples=1000)
        section["mean"]["recall_at_k"], section["per_language"]["it"]["interval"]

    Args:
        outcomes: The outcome of every query.
        title: What was asked, for tables and plots.
        kinds: Labels to give figures for: "language", "cell", "task", or a suite's own.
        mean_kind: Whose unweighted mean is the headline; None takes the mean over queries.
        num_resamples: Of the bootstrap.
        crossed: Two kinds whose combinations get figures too, without intervals.
        num_units: Units that are resampled although nothing is asked of some; None takes
            those that are asked for.

    Returns:
        `title`, `mean` (with `interval`), and for each kind `per_KIND`; `per_A_and_B` as
        `{a: {b: metrics}}`.
    """
    section: dict[str, Any] = {
        "title": title,
        "k": metrics(outcomes)["k"],
        "num_queries": len(outcomes),
        "num_languages": len({*outcomes.labels["language"].tolist()})
        if "language" in outcomes.labels
        else None,
        "mean": summarise(outcomes, num_resamples)
        if mean_kind is None
        else mean_over(outcomes, mean_kind, num_resamples, num_units=num_units),
    }
    for kind in kinds:
        section[f"per_{kind}"] = summarise_by(outcomes, kind, num_resamples)
    if crossed is not None:
        first, second = crossed
        section[f"per_{first}_and_{second}"] = {
            name: {inner: metrics(cross) for inner, cross in part.groups(second).items()}
            for name, part in outcomes.groups(first).items()
        }
    return section


def write_report(report: dict[str, Any], directory: Path) -> None:
    """Writes `evaluation.json`, and `evaluation.png` where matplotlib is installed.

    Raises:
        OSError: The directory cannot be written.
    """
    write_json(report, directory / EVALUATION_NAME)
    try:
        from trainer.evaluate.plot import plot_evaluation
    except ImportError:
        return
    plot_evaluation(report, directory / PLOT_NAME)


def write_json(content: dict[str, Any], path: Path) -> None:
    """Writes indented JSON, texts as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sentences(report: dict[str, Any]) -> Iterator[str]:
    """One line per section, then what was lowered or left out."""
    for section in report["sections"].values():
        mean = section["mean"]
        low, high = mean["interval"]
        over = f"mean over {mean['mean_over']}s" if "mean_over" in mean else "mean over queries"
        languages = section.get("num_languages")
        among = f" in {languages} languages" if languages and languages > 1 else ""
        yield (
            f"{section['title']}: {recall_name(section['k'])} {mean['recall_at_k']:.3f} "
            f"(95 % interval {low:.3f} to {high:.3f}; chance {mean['chance']:.3f}), {over}, "
            f"{section['num_queries']:,} queries{among}"
        )
    yield from report["notes"]


def evaluation_tables(report: dict[str, Any]) -> Iterator[Table]:
    """One table per section: its mean, then cells, tasks and languages."""
    for section in report["sections"].values():
        table = Table(title=section["title"])
        table.add_column("")
        for heading in ("queries", recall_name(section["k"]), "95 % interval", "recall@1"):
            table.add_column(heading, justify="right")
        for heading in ("MRR", "nDCG@10", "chance"):
            table.add_column(heading, justify="right")
        table.add_row(*_cells("mean", section["mean"]), end_section=True)
        for kind in kinds_of(section):
            entries = section[f"per_{kind}"]
            for number, (name, entry) in enumerate(entries.items(), start=1):
                label = language_name(name) if kind == "language" else name
                lowered = isinstance(section["k"], list) and not isinstance(entry["k"], list)
                label += f" (k = {entry['k']})" if lowered else ""
                table.add_row(*_cells(label, entry), end_section=number == len(entries))
        yield table


def kinds_of(section: dict[str, Any]) -> list[str]:
    """Kinds of labels a section has figures for, languages last."""
    kinds = [
        name.removeprefix("per_")
        for name in section
        if name.startswith("per_") and "_and_" not in name
    ]
    return sorted(kinds, key=lambda kind: kind == "language")


def _cells(label: str, entry: dict[str, Any]) -> list[str]:
    low, high = entry["interval"]
    return [
        label,
        f"{entry['num_queries']:,}",
        f"{entry['recall_at_k']:.3f}",
        f"{low:.3f}-{high:.3f}",
        *(f"{entry[name]:.3f}" for name in ("recall_at_1", "mrr", "ndcg_at_10", "chance")),
    ]


def recall_name(k: int | list[int]) -> str:
    """The name "recall@10"; "recall@k" where cells differ in k."""
    return f"recall@{k}" if isinstance(k, int) else "recall@k"


def language_name(code: str) -> str:
    """Code and English name."""
    return f"{code} {LANGUAGES[code].name}" if code in LANGUAGES else code
