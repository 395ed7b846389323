"""A comparison as JSON and as a table."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from schemas.vocabulary import LANGUAGES
from trainer.compare import Comparison
from trainer.config import CompareConfig
from trainer.evaluate import interval


def describe_comparison(comparison: Comparison, config: CompareConfig) -> dict[str, Any]:
    """Everything `recall.json` holds, as plain values."""
    num_resamples = config.evaluate.num_resamples
    questions = comparison.questions
    num_candidates = len(questions.candidate_groups)
    arms = comparison.arms
    gain_S = arms["multilingual"].bootstrap(num_resamples) - arms["english_only"].bootstrap(
        num_resamples
    )
    first = arms["multilingual"].measurements[0]
    num_questions_L = first.num_questions_LN.sum(axis=1).astype(int).tolist()
    return {
        "dataset": config.train.dataset.model_dump(),
        "encoder": comparison.towers.kind,
        "encoder_note": comparison.towers.note,
        "k": config.evaluate.k,
        "num_candidates": num_candidates,
        "num_questions": len(questions.questions),
        "num_languages": len(questions.languages),
        "chance": min(1.0, config.evaluate.k / num_candidates),
        "groups": "provenance" if questions.has_groups else "images",
        "seeds": list(config.seeds),
        "num_texts": comparison.num_texts,
        "num_images": comparison.num_images,
        "arms": {
            name: {
                "mean": arm.mean,
                "seed_interval": arm.seed_interval,
                "concept_interval": arm.concept_interval(num_resamples),
                "mean_by_seed": arm.mean_by_seed,
                "mean_reciprocal_rank": sum(m.reciprocal_rank for m in arm.measurements)
                / len(arm.measurements),
                "num_pairs": arm.num_pairs,
                "per_language": arm.recall_by_language,
            }
            for name, arm in arms.items()
        },
        "multilingual_minus_english_only": {
            "mean": arms["multilingual"].mean - arms["english_only"].mean,
            "concept_interval": interval(gain_S),
        },
        "num_questions_per_language": dict(zip(first.languages, num_questions_L, strict=True)),
        "seconds": {part: round(value, 2) for part, value in comparison.seconds.items()},
    }


def write_json(content: dict[str, Any], path: Path) -> None:
    """Writes indented JSON, texts as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def recall_table(report: dict[str, Any]) -> Table:
    """One table: an arm a column, the means first, then every language."""
    arms: dict[str, Any] = report["arms"]
    table = Table(
        title=f"Text-to-image recall@{report['k']}, {report['num_candidates']} held-out concepts, "
        f"chance {report['chance']:.3f}, {seeds_words(report)}",
        caption=report["encoder_note"],
    )
    table.add_column("language")
    table.add_column("questions", justify="right")
    for name in arms:
        table.add_column(name.replace("_", " "), justify="right")

    def row(label: str, count: str, values: list[str], *, ends: bool = False) -> None:
        table.add_row(label, count, *values, end_section=ends)

    every = arms.values()
    row(
        f"mean of {report['num_languages']}",
        str(report["num_questions"]),
        [f"{arm['mean']:.3f}" for arm in every],
    )
    if len(report["seeds"]) > 1:
        row("interval, seeds", "", [_span(arm["seed_interval"]) for arm in every])
    row("interval, concepts", "", [_span(arm["concept_interval"]) for arm in every])
    row("MRR", "", [f"{arm['mean_reciprocal_rank']:.3f}" for arm in every])
    row("training pairs", "", [f"{arm['num_pairs']:,}" for arm in every], ends=True)
    for code, count in report["num_questions_per_language"].items():
        name = LANGUAGES[code].name if code in LANGUAGES else code
        row(f"{code} {name}", str(count), [f"{arm['per_language'][code]:.2f}" for arm in every])
    return table


def seeds_words(report: dict[str, Any]) -> str:
    """How many seeds a report rests on."""
    num_seeds = len(report["seeds"])
    return "1 seed" if num_seeds == 1 else f"{num_seeds} seeds"


def _span(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3f}-{ends[1]:.3f}"
