"""A comparison as JSON, as a table and in plain sentences."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from trainer.compare.arms import ENGLISH_ONLY, MULTILINGUAL
from trainer.compare.config import CompareConfig
from trainer.compare.run import ArmResult, Comparison
from trainer.compare.statistics import Difference, seed_interval
from trainer.evaluate.bootstrap import bootstrap_means, interval
from trainer.evaluate.report import language_name, recall_name

REPORT_NAME = "recall.json"
PLOT_NAME = "recall.png"
_SPOKEN = {ENGLISH_ONLY: "English only", MULTILINGUAL: "all languages"}


def describe_comparison(comparison: Comparison, config: CompareConfig) -> dict[str, Any]:
    """Everything `recall.json` holds, as plain values."""
    yardstick = comparison.yardstick
    num_languages = len(yardstick.num_queries_by_stratum)
    return {
        "versions": comparison.versions,
        "commits": comparison.commits,
        "encoder": config.train.model.name,
        "encoder_note": comparison.encoder_note,
        "measure": config.measure,
        "stratum": yardstick.stratum,
        "k": yardstick.k,
        "num_candidates": yardstick.num_candidates,
        "num_concepts": yardstick.num_concepts,
        "num_questions": yardstick.num_queries,
        "num_languages": num_languages if yardstick.stratum == "language" else None,
        "chance": yardstick.chance,
        "groups": "provenance" if yardstick.has_groups else "images",
        "seeds": list(config.seeds),
        "equal": config.equal,
        "arms": {
            name: _describe_arm(result, config.evaluate.num_resamples)
            for name, result in comparison.arms.items()
        },
        "differences": [
            _describe_difference(first, second, found, comparison, config)
            for (first, second), found in comparison.differences.items()
        ],
        f"num_questions_per_{yardstick.stratum}": yardstick.num_queries_by_stratum,
        "notes": comparison.notes,
        "seconds": {part: round(value, 2) for part, value in comparison.seconds.items()},
    }


def _describe_arm(result: ArmResult, num_resamples: int) -> dict[str, Any]:
    tally = result.tally
    resampled_S = bootstrap_means(tally.hits_GU, tally.counts_GU, num_resamples)
    ranks = [run.answers.reciprocal_rank for run in result.runs]
    return {
        "mean": result.mean,
        "drawn_mean": result.drawn_mean,
        "seed_interval": seed_interval(result.mean_by_seed),
        "concept_interval": interval(resampled_S),
        "mean_by_seed": result.mean_by_seed,
        "mean_reciprocal_rank": sum(ranks) / len(ranks),
        "num_rows": result.arm.num_rows,
        "num_steps": max(run.num_steps for run in result.runs),
        "batch_size": max(run.batch_size for run in result.runs),
        "family": result.arm.family,
        "per_language": tally.by_stratum,
    }


def _describe_difference(
    first: str, second: str, found: Difference, comparison: Comparison, config: CompareConfig
) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "mean": found.mean,
        "interval": found.interval,
        "is_found": found.is_found,
        "seed_variance": found.seed_variance,
        "concept_variance": found.unit_variance,
        "joint_variance": found.joint_variance,
        "smallest_visible": found.smallest_visible,
        "seeds_to_see_effect": found.seeds_to_see(config.effect),
        "effect": config.effect,
        "sentence": sentence(first, second, found, comparison, config),
    }


def sentence(
    first: str, second: str, found: Difference, comparison: Comparison, config: CompareConfig
) -> str:
    """The difference between two arms, as a sentence."""
    first, second = _spoken(first), _spoken(second)
    yardstick = comparison.yardstick
    metric = recall_name(yardstick.k)
    basis = f"{len(config.seeds)} seeds, {yardstick.num_concepts} concepts"
    low, high = found.interval
    if found.mean < 0 and found.is_found:
        first, second, low, high = second, first, -high, -low
    if found.is_found:
        said = (
            f"{first} is better than {second} by {abs(found.mean):.3f} {metric}, "
            f"95 % interval {low:.3f} to {high:.3f} ({basis})."
        )
        return said[0].upper() + said[1:] if first.startswith("training") else said
    return (
        f"No difference was found between {first} and {second}: {found.mean:+.3f} {metric}, "
        f"95 % interval {low:.3f} to {high:.3f} ({basis}). {_power(found, config)}"
    )


def _spoken(name: str) -> str:
    """A version by its number; a part of one as what was trained on."""
    family, comma, size = name.rpartition(", ") if name.endswith(" rows") else (name, "", "")
    if not family:
        family, comma, size = name, "", ""
    words = _SPOKEN.get(family, family)
    if words.startswith("without "):
        words = f"training {words}"
    elif words == "all rows" or words.endswith(" only") or words in _SPOKEN.values():
        words = f"training on {words}"
    return f"{words}{comma}{size}"


def _power(found: Difference, config: CompareConfig) -> str:
    """What it would take to detect a difference that matters."""
    effect = f"{config.effect:g}"
    num_seeds = found.seeds_to_see(config.effect)
    if num_seeds is None:
        return (
            f"To see {effect}, more seeds are not enough: with these concepts even many seeds see "
            f"{found.smallest_visible:.3f} at least. It takes about "
            f"{found.units_to_see(config.effect):,} held-out concepts."
        )
    if num_seeds <= found.num_seeds:
        return f"A difference of {effect} would most likely have been seen."
    return f"To see {effect} takes about {num_seeds} seeds."


def sentences(report: dict[str, Any]) -> Iterator[str]:
    """Each difference in a sentence, what was equal between the arms, then what was left out."""
    for entry in report["differences"]:
        yield entry["sentence"]
    yield _equal_words(report)
    if report["measure"] == "concepts":
        yield (
            f"Recall is what is expected over all draws of {report['num_candidates']} among "
            f"{report['num_concepts']} held-out concepts and one picture of each; "
            "MRR is of one draw."
        )
    yield from report["notes"]


def _equal_words(report: dict[str, Any]) -> str:
    trained = [arm for arm in report["arms"].values() if arm["num_steps"]]
    if not trained:
        return "No arm was trained."
    steps = max(arm["num_steps"] for arm in trained)
    rows = sorted({arm["num_rows"] for arm in trained})
    words = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,}"
    return (
        f"Equal for all arms: first weights by seed, {steps:,} steps of "
        f"{max(arm['batch_size'] for arm in trained):,} rows"
        + (
            ", and the number of training rows."
            if len(rows) == 1
            else f"; not equal: {words} rows."
        )
    )


def recall_table(report: dict[str, Any]) -> Table:
    """One table: a column per arm, the means first, then every language or cell."""
    arms: dict[str, Any] = report["arms"]
    table = Table(title=title(report), caption=report["encoder_note"])
    table.add_column(report["stratum"])
    table.add_column("questions", justify="right")
    for name in arms:
        table.add_column(_SPOKEN.get(name, name), justify="right")

    def row(label: str, count: str, values: list[str], *, ends: bool = False) -> None:
        table.add_row(label, count, *values, end_section=ends)

    every = arms.values()
    counts: dict[str, int] = report[f"num_questions_per_{report['stratum']}"]
    row(
        f"mean of {len(counts)}",
        f"{report['num_questions']:,}",
        [f"{arm['mean']:.3f}" for arm in every],
    )
    row("interval, seeds", "", [_span(arm["seed_interval"]) for arm in every])
    row("interval, concepts", "", [_span(arm["concept_interval"]) for arm in every])
    if report["measure"] == "concepts":
        row("of one draw", "", [f"{arm['drawn_mean']:.3f}" for arm in every])
    row("MRR", "", [f"{arm['mean_reciprocal_rank']:.3f}" for arm in every])
    row("training rows", "", [f"{arm['num_rows']:,}" for arm in every], ends=True)
    for code, count in counts.items():
        label = language_name(code) if report["stratum"] == "language" else code
        row(label, str(count), [f"{arm['per_language'][code]:.2f}" for arm in every])
    return table


def title(report: dict[str, Any]) -> str:
    """What was measured, on how much."""
    if report["measure"] == "concepts":
        num_candidates = report["num_candidates"]
        what = f"Text-to-image {recall_name(report['k'])}, {num_candidates} held-out concepts"
    else:
        what = f"{recall_name(report['k'])} of held-out rows, mean over cells"
    return f"{what}, chance {report['chance']:.3f}, {seeds_words(report)}"


def seeds_words(report: dict[str, Any]) -> str:
    """Number of seeds in a report."""
    num_seeds = len(report["seeds"])
    return "1 seed" if num_seeds == 1 else f"{num_seeds} seeds"


def _span(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3f}-{ends[1]:.3f}"
