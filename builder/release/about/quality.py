"""`quality.json`: every count about a release."""

from collections import Counter
from typing import Any

import pyarrow as pa

from builder.checks.diversity import instruction_diversity, text_diversity
from builder.release.about.counts import ReleaseCounts
from builder.release.about.criteria import alignment, fidelity, scope
from builder.release.about.funnel import funnel
from builder.release.inputs import ReleaseInputs
from builder.release.judging import Reviews
from builder.release.rows import RowSource


def quality_report(
    inputs: ReleaseInputs,
    rows: RowSource,
    reviews: Reviews,
    counts: ReleaseCounts,
    scores: pa.Table | None = None,
) -> dict[str, Any]:
    """Counts by stage, language, cell and score; the same inputs give the same report.

    Args:
        inputs: What the release is made from.
        rows: Its rows, all read.
        reviews: What reviewers did to them.
        counts: Counts of the rows.
        scores: What a model said of them (`schemas.row_scores`), where one did.
    """
    generation = Counter(inputs.drops)
    if inputs.origin is not None:
        generation.update(inputs.origin.drops)
    kept = counts.languages()
    num_samples = counts.num_samples
    drops = {"generation": _sorted(generation), "release": _sorted(rows.dropped)}
    stages = funnel(generation, rows.dropped, num_samples)
    return {
        "num_samples": num_samples,
        "criteria": {
            "scope": scope(counts),
            "alignment": alignment(counts.criteria, num_samples, scores),
            "fidelity": fidelity(counts, drops, inputs.audits, stages),
        },
        "drops": drops,
        "languages": {
            code: {
                "published": kept.get(code, 0),
                "dropped_in_generation": inputs.languages.get(code, (0, 0))[1],
                "dropped_in_release": rows.dropped_by_language[code],
            }
            for code in sorted({*kept, *inputs.languages})
        },
        "cells": counts.cells(),
        "coverage": _coverage(counts),
        "scores": counts.score_table(),
        "mean_scores": {name: counts.mean_score(name) for name in counts.score_table()},
        "alignment": {f"{edge:.2f}": num for edge, num in sorted(counts.alignment.items())},
        "instructions": {
            "num_unique": counts.num_unique_instructions,
            "unique_ratio": round(counts.num_unique_instructions / max(1, num_samples), 4),
            "variety": _rounded(instruction_diversity(counts.some_instructions)),
        },
        "text_variety": {
            language: _rounded(figures)
            for language, figures in sorted(text_diversity(counts.some_texts).items())
        },
        "num_repeated_queries": counts.num_repeated_queries,
        "embedder": inputs.embedder,
        "num_images": len(counts.images),
        "reviews": {
            "num_events": len(reviews.events),
            "num_by_kind": reviews.num_by_kind,
            "num_accepted": reviews.num_accepted,
            "num_rejected": reviews.num_rejected,
            "num_edited": reviews.num_edited,
            "num_flagged": reviews.num_flagged,
            "num_edits_refused": len(reviews.refused_edits),
            "num_edits_flagged": len(reviews.disputed_edits),
            "edits_refused": reviews.refused_edits,
            "edits_flagged": reviews.disputed_edits,
            "num_without_row": reviews.num_stale,
        },
        "audits": [report.model_dump(mode="json") for report in inputs.audits],
        "tokens": {
            "prompt": counts.prompt_tokens,
            "completion": counts.completion_tokens,
            "cost_usd": counts.cost_micro_usd / 1e6,
        },
    }


def _coverage(counts: ReleaseCounts) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for (task, modality, language), num in sorted(counts.slots.items()):
        table.setdefault(language, {})[f"{task} {modality}"] = num
    return dict(sorted(table.items()))


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(figure, 4) for name, figure in figures.items()}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
