"""The three criteria of the paper as figures: broad scope, cross-modal alignment, high fidelity.

A figure that was not measured is null, and `not_measured` says why.

Source: Chen et al. 2025, arXiv:2502.08468, section 3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from builder.checks.diversity import instruction_diversity
from builder.checks.near_duplicates import find_near_duplicates
from builder.generate.agreement import judge_agreement
from builder.release.about.counts import ReleaseCounts
from builder.release.about.criteria_rows import CriteriaRows
from builder.release.about.variety import entropy_bits, self_bleu, vendi_score
from schemas.audit import AuditReport
from schemas.sample import SCORES
from schemas.text_rules.close_languages import group_of
from schemas.text_rules.normal_form import CHARS_PER_WORD, normalise

_MAX_BLEU_TEXTS = 300
_MIN_BLEU_TEXTS = 20
_MAX_BLEU_TEXTS_PER_LANGUAGE = 60
_MAX_VENDI_TEXTS = 500
_NEAR = 0.85


def scope(counts: ReleaseCounts) -> dict[str, Any]:
    """How broad the set is: languages, cells, tasks and pictures; how varied its texts."""
    rows = counts.criteria
    tasks: dict[str, int] = {}
    for (task, _, _), num in counts.slots.items():
        tasks[task] = tasks.get(task, 0) + num
    texts = [_shown_text(row) for _, row in rows.rows[:_MAX_VENDI_TEXTS]]
    instructions = [normalise(text).split() for text in counts.some_instructions[:_MAX_BLEU_TEXTS]]
    variety = instruction_diversity(counts.some_instructions)
    return {
        "languages": _spread(counts.languages().values()),
        "cells": _spread(counts.cells().values()),
        "tasks": _spread(tasks.values()),
        "image_groups": _spread(rows.groups.values()),
        "instructions": {
            "num_distinct": counts.num_unique_instructions,
            "distinct_share": _rounded(counts.num_unique_instructions / counts.num_samples),
            "distinct_1": _rounded(variety["distinct_1"]),
            "distinct_2": _rounded(variety["distinct_2"]),
            "self_bleu": _rounded(self_bleu(instructions)),
        },
        "texts": {"self_bleu_by_language": _bleu_by_language(counts.some_texts)},
        "vendi": {
            "score": round(vendi_score(texts), 1) if texts else None,
            "num_texts": len(texts),
            "kernel": "cosine of hashed character 3-grams of query and positive, else instruction",
        },
    }


def alignment(rows: CriteriaRows, num_samples: int, scores: pa.Table | None) -> dict[str, Any]:
    """How well texts and pictures fit, where a model scored them.

    Args:
        rows: Of the release.
        num_samples: In the release.
        scores: `scores.parquet` of the release; None where the workspace was not scored.
    """
    missing: dict[str, str] = {}
    every = [score for found in rows.alignments.values() for score in found]
    if not every:
        missing["scores"] = "no model scored this workspace; python -m builder score does"
    margins = _margins(rows, scores)
    if not margins:
        missing["margins"] = "no row has a score for both its positive and its hard negative"
    ranks = _picture_ranks(scores)
    if ranks is None:
        missing["round_trip_rank"] = "no model ranked the pictures; python -m builder score does"
    return {
        "num_scored": len(every),
        "scored_share": _rounded(len(every) / num_samples),
        "scores": _distribution(every),
        "scores_by_language": _by_language(rows.alignments),
        "margins": _distribution([m for found in margins.values() for m in found]),
        "margins_by_language": _by_language(margins),
        "false_negative_suspects": _suspects(scores, "negative"),
        "wrong_positive_suspects": _suspects(scores, "positive"),
        "round_trip_rank": ranks,
        "not_measured": missing,
    }


def fidelity(
    counts: ReleaseCounts,
    drops: Mapping[str, Mapping[str, int]],
    audits: Sequence[AuditReport],
    funnel: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """How good single rows are: scores, judge, language, repeats, drops, what people found."""
    rows = counts.criteria
    missing: dict[str, str] = {}
    if not rows.num_judged:
        missing["judge's scores"] = (
            "no judge scored these rows; a configuration names one under judge:"
        )
    if not audits:
        missing["audited_defect_rate"] = "no audit of this dataset is closed"
    return {
        "scores": {name: _score_change(rows, counts, name) for name in SCORES},
        "num_judged": rows.num_judged,
        "revised_share": _rounded(rows.num_revised / counts.num_samples),
        "judge_agreement": {
            name: {key: _rounded(value) for key, value in asdict(figure).items()}
            for name, figure in judge_agreement(rows.judged).items()
        },
        "language": _language_agreement(rows),
        "repeats": _repeats(rows, drops),
        "funnel": [{"stage": stage, "rows": num} for stage, num in funnel],
        "audited_defect_rate": _audited(audits),
        "not_measured": missing,
    }


def _spread(counts: Iterable[int]) -> dict[str, float]:
    """Entropy, and what number of equally common ones has it."""
    present = [count for count in counts if count]
    bits = entropy_bits(present)
    return {"num": len(present), "entropy_bits": round(bits, 3), "effective": round(2**bits, 1)}


def _shown_text(row: Mapping[str, Any]) -> str:
    parts = [part for part in (row["query_text"], row["positive_text"]) if part]
    return normalise(" ".join(parts) or row["instruction"])


def _bleu_by_language(texts_by_language: Mapping[str, Sequence[str]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for language, texts in sorted(texts_by_language.items()):
        split = list if language in CHARS_PER_WORD else str.split
        tokens = [split(normalise(text)) for text in texts[:_MAX_BLEU_TEXTS_PER_LANGUAGE]]
        bleu = self_bleu(tokens) if len(tokens) >= _MIN_BLEU_TEXTS else None
        if bleu is not None:
            found[language] = round(bleu, 4)
    return found


def _margins(rows: CriteriaRows, scores: pa.Table | None) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    if scores is None:
        return found
    for sample_id, margin in zip(
        scores["id"].to_pylist(), scores["margin"].to_pylist(), strict=True
    ):
        language = rows.languages.get(sample_id)
        if margin is not None and language is not None:
            found.setdefault(language, []).append(margin)
    return found


def _suspects(scores: pa.Table | None, part: str) -> dict[str, float] | None:
    if scores is None or not scores.num_rows:
        return None
    num = scores["suspected"].to_pylist().count(part)
    return {"num": num, "share": round(num / scores.num_rows, 4)}


def _picture_ranks(scores: pa.Table | None) -> dict[str, float] | None:
    """At which place texts find their own picture, over all rows that were ranked."""
    if scores is None:
        return None
    ranked = scores.filter(scores["picture_rank"].is_valid())
    if not ranked.num_rows:
        return None
    rank_T = ranked["picture_rank"].to_numpy()
    return {
        "median": float(np.median(rank_T)),
        "mean_reciprocal": round(float((1 / rank_T).mean()), 4),
        "first_share": round(float((rank_T == 1).mean()), 4),
        "num_pictures": int(ranked["num_ranked"].to_numpy().max()),
    }


def _by_language(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {language: _distribution(found) for language, found in sorted(values.items())}


def _distribution(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    quantiles = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
    names = ("p05", "p25", "median", "p75", "p95")
    figures = {name: round(float(q), 4) for name, q in zip(names, quantiles, strict=True)}
    below = sum(value < 0 for value in values) / len(values)
    return {"num": len(values), **figures, "below_zero_share": round(below, 4)}


def _score_change(rows: CriteriaRows, counts: ReleaseCounts, name: str) -> dict[str, float | None]:
    """Mean scores: of the draft by its teacher; of the same and the revision where judged."""
    teacher, judge = rows.judged_sums.get(name, (0, 0))
    num = rows.num_judged
    return {
        "draft": counts.mean_score(name),
        "draft_of_judged": _rounded(teacher / num) if num else None,
        "revision_by_judge": _rounded(judge / num) if num else None,
    }


def _language_agreement(rows: CriteriaRows) -> dict[str, Any]:
    """Share of the identifiers' votes for the language that was asked for, or one like it."""
    named: dict[str, list[int]] = {}
    num_abstained = 0
    for (asked, found), num in rows.votes.items():
        if found is None:
            num_abstained += num
            continue
        right = named.setdefault(asked, [0, 0])
        right[0] += num if found in group_of(asked) else 0
        right[1] += num
    num_right = sum(right for right, _ in named.values())
    num_votes = sum(num for _, num in named.values())
    return {
        "num_votes": num_votes,
        "num_abstained": num_abstained,
        "agreeing_share": _rounded(num_right / num_votes) if num_votes else None,
        "agreeing_by_language": {
            language: round(right / num, 4) for language, (right, num) in sorted(named.items())
        },
    }


def _repeats(rows: CriteriaRows, drops: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Repeats that were dropped, and near-duplicates left in a sample."""
    names = ("duplicate", "near_duplicate", "near_duplicate_across", "same_content")
    dropped = {name: sum(stage.get(name, 0) for stage in drops.values()) for name in names}
    near = find_near_duplicates(rows.rows, _NEAR)
    return {
        "dropped": {name: num for name, num in dropped.items() if num},
        "near_duplicates_left": len(near),
        "near_duplicates_left_share": round(len(near) / len(rows.rows), 4) if rows.rows else None,
        "looked_at": len(rows.rows),
        "similarity": _NEAR,
    }


def _audited(audits: Sequence[AuditReport]) -> dict[str, Any] | None:
    """Of the newest audit that measured a rate."""
    newest = sorted(audits, key=lambda report: (report.closed, report.audit_id), reverse=True)
    for report in newest:
        rate = report.figures.corrected or report.figures.overall
        if rate is not None:
            return {
                "version": report.version,
                "num_rows": report.figures.num_decided,
                "rate": _rounded(rate.rate),
                "low": _rounded(rate.low),
                "high": _rounded(rate.high),
                "level": report.design.level,
                "corrected_for_missed_defects": report.figures.corrected is not None,
            }
    return None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
