"""Where a model is weakest, as shares that the builder's plan takes for the next round."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, Field, ValidationError
from rich.table import Table

from schemas.vocabulary import CELLS, LANGUAGES, TASK_TYPES
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.report import language_name

BLOCK_NAME = "weak_spots.yaml"
PLOT_NAME = "weak_spots.png"

#: mmE5's shares of task types, which a plan has where nothing else is said (arXiv:2502.08468).
_TASK_SHARES = {"classification": 1.0, "vqa": 1.0, "retrieval": 2.0}
#: Below this share of queries not found, a language or cell still gets its part.
_MIN_GAP = 0.01


class _Entry(BaseModel):
    num_queries: Annotated[int, Field(ge=1)]
    recall_at_k: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Section(BaseModel):
    title: str = ""
    per_language: dict[str, _Entry]
    per_cell: dict[str, _Entry] = {}
    per_cell_and_language: dict[str, dict[str, _Entry]] = {}


class _Evaluation(BaseModel):
    data: str = "unknown data"
    left_out: dict[str, int] = {}
    sections: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """A language or cell.

    Args:
        name: Code, or task type and modality combination.
        num_queries: It was measured with; 0 where the model does not take the cell.
        recall: As measured; None where it was not.
        score: Recall compared with the same cells in other languages, and shrunk
            towards the mean where queries are few.
        share: Of the next round, in percent.
    """

    name: str
    num_queries: int
    recall: float | None
    score: float
    share: float


@dataclass(frozen=True, slots=True)
class WeakSpots:
    """Languages and cells, the largest share first.

    Args:
        data: Version or benchmark that was measured.
        languages: Those that were measured.
        cells: Empty where the evaluation has no figures by cell.
        num_queries: In all.
    """

    data: str
    languages: tuple[Spot, ...]
    cells: tuple[Spot, ...]
    num_queries: int

    def settings(self) -> dict[str, Any]:
        """`languages`, `task_shares` and `modality_shares` as a build's configuration has them."""
        shares = {spot.name: spot.share for spot in self.languages}
        languages = {code: round(shares[code], 2) for code in LANGUAGES if code in shares}
        if not self.cells:
            return {"languages": languages}
        by_task: dict[str, dict[str, float]] = {}
        for spot in self.cells:
            task, modality = spot.name.split(" ", 1)
            by_task.setdefault(task, {})[modality] = round(spot.share, 2)
        tasks = [task for task in TASK_TYPES if task in by_task]
        return {
            "languages": languages,
            "task_shares": {task: round(sum(by_task[task].values()), 2) for task in tasks},
            "modality_shares": {
                task: by_task[task] for task in tasks if any(by_task[task].values())
            },
        }

    def block(self) -> str:
        """The settings as YAML, with a comment on how to use them."""
        measured = f"{self.data}: recall of {self.num_queries:,} held-out queries"
        return (
            f"# Shares for the next round, larger where the model found least ({measured}).\n"
            "# They replace these sections of the build's configuration; shares are of all\n"
            "# samples, those there already included, so raise `num_samples` too.\n"
        ) + yaml.safe_dump(self.settings(), sort_keys=False, allow_unicode=True)


def find_weak_spots(
    evaluation: Path, *, strength: float = 1.0, max_share: float = 0.25
) -> WeakSpots:
    """Shares that are larger where a model finds less.

    A share is proportional to the part of queries that are not found, raised
    to `strength`; cells start from mmE5's shares instead of equal ones. With few
    queries a figure is uncertain, so a language is shrunk towards the mean as far as
    its difference could be chance (empirical Bayes), and it is compared with other
    languages cell by cell, as not all languages have the same cells.

        spots = find_weak_spots(Path("evaluation/evaluation.json"), strength=2)
        print(spots.block())

    Args:
        evaluation: What `evaluate` wrote.
        strength: 0 gives equal shares, 1 shares in proportion, more sharper ones.
        max_share: No language or cell gets more, where there are enough others.

    Raises:
        NothingToMeasureError: The file is not an evaluation, or has no figures by language.

    Source: Efron and Morris 1975, Data analysis using Stein's estimator.
    """
    parsed, section = _read(evaluation)
    languages = {code: entry for code, entry in section.per_language.items() if code in LANGUAGES}
    if not languages:
        raise NothingToMeasureError(
            str(evaluation), "no figures for any language", "Evaluate on a suite with languages."
        )
    scores = _language_scores(section, languages)
    shares = _shares(dict.fromkeys(languages, 1.0), scores, strength, max_share)
    cells = _cell_spots(section, parsed.left_out, strength, max_share)
    return WeakSpots(
        parsed.data,
        _ordered(
            Spot(code, entry.num_queries, entry.recall_at_k, scores[code], shares[code])
            for code, entry in languages.items()
        ),
        cells,
        sum(entry.num_queries for entry in languages.values()),
    )


def _read(path: Path) -> tuple[_Evaluation, _Section]:
    """The section with cells and languages, else the first with languages."""
    remedy = "Name the evaluation.json that `python -m trainer evaluate` wrote."
    try:
        parsed = _Evaluation.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, ValueError, RecursionError) as exc:
        raise NothingToMeasureError(str(path), "not an evaluation", remedy) from exc
    found: list[_Section] = []
    for section in parsed.sections.values():
        try:
            found.append(_Section.model_validate(section))
        except ValidationError:
            continue
    if not found:
        raise NothingToMeasureError(
            str(path), "no section with figures by language", "Evaluate on a suite with languages."
        )
    return parsed, max(found, key=lambda section: bool(section.per_cell))


def _language_scores(section: _Section, languages: Mapping[str, _Entry]) -> dict[str, float]:
    """Recall of each language, corrected for its cells and for chance."""
    total = sum(entry.num_queries for entry in languages.values())
    mean = sum(entry.num_queries * entry.recall_at_k for entry in languages.values()) / total
    expected: dict[str, float] = dict.fromkeys(languages, 0.0)
    counted: dict[str, int] = dict.fromkeys(languages, 0)
    for cell, entries in section.per_cell_and_language.items():
        if cell not in section.per_cell:
            continue
        for code, entry in entries.items():
            if code in expected:
                expected[code] += entry.num_queries * section.per_cell[cell].recall_at_k
                counted[code] += entry.num_queries
    ahead = {
        code: entry.recall_at_k - (expected[code] / counted[code] if counted[code] else mean)
        for code, entry in languages.items()
    }
    return {code: mean + value for code, value in _shrink(ahead, languages, mean).items()}


def _shrink(
    ahead: Mapping[str, float], entries: Mapping[str, _Entry], mean: float
) -> dict[str, float]:
    """Differences from the mean, each shrunk by the part of it that chance would give."""
    chance = {
        code: max(mean * (1 - mean), 1e-6) / entry.num_queries for code, entry in entries.items()
    }
    spread = sum(value**2 - chance[code] for code, value in ahead.items()) / len(ahead)
    true_variance = max(0.0, spread)
    return {
        code: value * true_variance / (true_variance + chance[code])
        for code, value in ahead.items()
    }


def _cell_spots(
    section: _Section, left_out: Mapping[str, int], strength: float, max_share: float
) -> tuple[Spot, ...]:
    """Cells of the evaluation; those the model does not take keep the share they start from."""
    names = [f"{cell.task_type} {cell.modality}" for cell in CELLS]
    measured = {name: section.per_cell[name] for name in names if name in section.per_cell}
    if not measured:
        return ()
    present = [name for name in names if name in measured or left_out.get(name)]
    num_in_task = {
        task: sum(name.split(" ", 1)[0] == task for name in present) for task in TASK_TYPES
    }
    base = {
        name: _TASK_SHARES[task] / num_in_task[task]
        for name in present
        for task in [name.split(" ", 1)[0]]
    }
    total = sum(entry.num_queries for entry in measured.values())
    mean = sum(entry.num_queries * entry.recall_at_k for entry in measured.values()) / total
    ahead = {name: entry.recall_at_k - mean for name, entry in measured.items()}
    shrunk = _shrink(ahead, measured, mean)
    scores = {name: mean + shrunk.get(name, 0.0) for name in present}
    shares = _shares(base, scores, strength, max_share)
    return _ordered(
        Spot(
            name,
            measured[name].num_queries if name in measured else 0,
            measured[name].recall_at_k if name in measured else None,
            scores[name],
            shares[name],
        )
        for name in present
    )


def _shares(
    base: Mapping[str, float], scores: Mapping[str, float], strength: float, max_share: float
) -> dict[str, float]:
    """Percent in proportion to base x gap^strength, none above the bound if others can take it."""
    weights = {name: base[name] * max(_MIN_GAP, 1 - scores[name]) ** strength for name in base}
    bound = max(max_share, 1 / len(weights))
    capped: set[str] = set()
    while True:
        left = 1 - bound * len(capped)
        free = math.fsum(weight for name, weight in weights.items() if name not in capped)
        shares = {
            name: bound if name in capped else left * weight / free
            for name, weight in weights.items()
        }
        over = {name for name, share in shares.items() if share > bound + 1e-12}
        if not over:
            return {name: 100 * share for name, share in shares.items()}
        capped |= over


def _ordered(spots: Any) -> tuple[Spot, ...]:
    return tuple(sorted(spots, key=lambda spot: (-spot.share, spot.name)))


def weak_spot_tables(spots: WeakSpots, num_shown: int = 12) -> list[Table]:
    """The weakest languages and all cells, as tables."""
    tables: list[Table] = []
    for title, members in (("languages", spots.languages), ("cells", spots.cells)):
        if not members:
            continue
        shown = members[:num_shown]
        of = f", the weakest {len(shown)} of {len(members)}" if len(shown) < len(members) else ""
        table = Table(title=f"Weak spots: {title}{of}")
        table.add_column(title)
        for heading in ("queries", "recall@k", "corrected", "share of the next round"):
            table.add_column(heading, justify="right")
        for spot in shown:
            table.add_row(
                language_name(spot.name),
                f"{spot.num_queries:,}" if spot.num_queries else "not taken",
                "" if spot.recall is None else f"{spot.recall:.3f}",
                f"{spot.score:.3f}",
                f"{spot.share:.2f} %",
            )
        tables.append(table)
    return tables


def write_weak_spots(spots: WeakSpots, directory: Path) -> None:
    """Writes the YAML block, and bars of the shares where matplotlib is installed.

    Raises:
        OSError: The directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / BLOCK_NAME).write_text(spots.block(), encoding="utf-8")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    groups = [members for members in (spots.cells, spots.languages) if members]
    heights = [1.2 + 0.16 * len(members) for members in groups]
    figure = Figure(figsize=(9, sum(heights)), dpi=120, layout="constrained")
    grid = figure.add_gridspec(len(groups), 1, height_ratios=heights)
    for number, members in enumerate(groups):
        axes = figure.add_subplot(grid[number, 0])
        names = [
            LANGUAGES[spot.name].name if spot.name in LANGUAGES else spot.name for spot in members
        ]
        axes.barh(range(len(members)), [spot.share for spot in members], color="#2166ac")
        axes.axvline(100 / len(members), color="#555555", linestyle="--", linewidth=0.8)
        axes.set_yticks(range(len(members)), names, fontsize=6)
        axes.set_ylim(len(members) - 0.4, -0.6)
        axes.set_title("share of the next round, percent; dashed: equal shares", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(directory / PLOT_NAME)
