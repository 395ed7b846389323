"""The figures of the three criteria, as `quality.json` holds them, in words for a reader.

Card, `diff --quality` and the review app show the same figures under the same names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from statistics import median
from typing import Literal, cast

CRITERIA = ("scope", "alignment", "fidelity")
CRITERION_TITLES = {
    "scope": "Broad scope",
    "alignment": "Cross-modal alignment",
    "fidelity": "High fidelity",
}
_SCORES = ("relevance", "plausibility", "clarity", "diversity")
_MAX_LANGUAGES = 200
_MAX_STAGES = 20
_MAX_NAME_CHARS = 60

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a version.

    Args:
        criterion: One of `CRITERIA`.
        name: What it is, for a reader.
        value: Null where it was not measured.
        shown: The value with its unit, or "not measured".
        meaning: What the figure says, in a sentence.
        better: Which way is better; None where neither is.
        low: Lower end of its interval, where it has one.
        high: Upper end.
    """

    criterion: str
    name: str
    value: float | None
    shown: str
    meaning: str
    better: Better | None
    low: float | None = None
    high: float | None = None


def has_criteria(quality: object) -> bool:
    """Whether a report has the three criteria; those of earlier versions have none."""
    return bool(_table(quality, "criteria"))


def figures_of(quality: object) -> list[Figure]:
    """The figures of a report, scope first; whatever else it holds is left out."""
    criteria = _table(quality, "criteria")
    return [*_scope(criteria), *_alignment(criteria), *_fidelity(criteria)]


def funnel_of(quality: object) -> list[tuple[str, int]]:
    """(stage, samples left after it)."""
    listed = _table(quality, "criteria", "fidelity").get("funnel")
    stages: list[tuple[str, int]] = []
    for entry in cast("list[object]", listed)[:_MAX_STAGES] if isinstance(listed, list) else ():
        stage, rows = _table(entry).get("stage"), _number(entry, "rows")
        if isinstance(stage, str) and rows is not None:
            stages.append((stage[:_MAX_NAME_CHARS], int(rows)))
    return stages


def scores_by_language(quality: object, kind: str) -> dict[str, dict[str, float]]:
    """Quantiles by language, the lowest median first.

    Args:
        quality: A report.
        kind: "scores" or "margins".
    """
    table = _table(quality, "criteria", "alignment", f"{kind}_by_language")
    found: dict[str, dict[str, float]] = {}
    for language in list(table)[:_MAX_LANGUAGES]:
        numbers = {
            name: number
            for name in ("num", "p05", "p25", "median", "p75", "p95")
            if (number := _number(table[language], name)) is not None
        }
        if len(numbers) == 6:
            found[language[:_MAX_NAME_CHARS]] = numbers
    return dict(sorted(found.items(), key=lambda entry: (entry[1]["median"], entry[0])))


def score_changes(quality: object) -> dict[str, tuple[float | None, float | None]]:
    """Mean score by criterion: the teacher's of its draft, the judge's of the revision.

    Where rows were judged, both are of the same rows.
    """
    found: dict[str, tuple[float | None, float | None]] = {}
    for name in _SCORES:
        scores = _table(quality, "criteria", "fidelity", "scores", name)
        before = _number(scores, "draft_of_judged")
        draft = _number(scores, "draft") if before is None else before
        found[name] = (draft, _number(scores, "revision_by_judge"))
    return found


def reasons_not_measured(quality: object, criterion: str) -> list[str]:
    """Figures that are missing, and why."""
    table = _table(quality, "criteria", criterion, "not_measured")
    return [
        f"{name[:_MAX_NAME_CHARS].replace('_', ' ')} ({str(reason)[:300]})"
        for name, reason in list(table.items())[:_MAX_STAGES]
    ]


def _scope(criteria: Mapping[str, object]) -> list[Figure]:
    scope = _table(criteria, "scope")
    figures = [
        _spread(scope, "languages", "languages", "languages"),
        _spread(scope, "cells", "task and modality cells", "cells"),
        _spread(scope, "image_groups", "groups of pictures", "groups"),
    ]
    share = _number(scope, "instructions", "distinct_share")
    bleu = _number(scope, "instructions", "self_bleu")
    by_language = _table(scope, "texts", "self_bleu_by_language")
    bleus = [b for name in by_language if (b := _number(by_language, name)) is not None]
    vendi, num = _number(scope, "vendi", "score"), _number(scope, "vendi", "num_texts")
    return [
        *figures,
        Figure(
            "scope",
            "distinct instructions",
            share,
            _percent(share),
            "Share of the instructions that differ from each other.",
            "higher",
        ),
        Figure(
            "scope",
            "self-BLEU of instructions",
            bleu,
            _decimals(bleu),
            "How much of an instruction others say as well: 0 nothing, 1 all.",
            "lower",
        ),
        Figure(
            "scope",
            "self-BLEU of texts",
            median(bleus) if bleus else None,
            _decimals(median(bleus)) if bleus else _decimals(None),
            "The same of the positive texts; the median over languages.",
            "lower",
        ),
        Figure(
            "scope",
            "Vendi score of texts",
            vendi,
            _decimals(None) if vendi is None else f"{vendi:,.1f} of {num or 0:,.0f}",
            "A sample of texts is as varied as this many that have nothing in common.",
            "higher",
        ),
    ]


def _spread(scope: Mapping[str, object], key: str, name: str, unit: str) -> Figure:
    effective, num = _number(scope, key, "effective"), _number(scope, key, "num")
    shown = "not measured"
    if effective is not None and num is not None:
        shown = f"{num:,.0f}, as even as {effective:,.1f}"
    meaning = f"How many there are, and how many equally common {unit} would be as varied."
    return Figure("scope", name, effective, shown, meaning, "higher")


def _alignment(criteria: Mapping[str, object]) -> list[Figure]:
    found = _table(criteria, "alignment")
    score = _number(found, "scores", "median")
    share = None if score is None else _number(found, "scored_share")
    margin = _number(found, "margins", "median")
    below = _number(found, "margins", "below_zero_share")
    false = _number(found, "false_negative_suspects", "share")
    wrong = _number(found, "wrong_positive_suspects", "share")
    rank = _number(found, "round_trip_rank", "median")
    num_pictures = _number(found, "round_trip_rank", "num_pictures")
    rows = (
        ("rows with a score", share, _percent(share), "Rows that a model could score.", None),
        (
            "median score",
            score,
            _decimals(score),
            "How well text and picture fit; scores of another model are no measure of these.",
            "higher",
        ),
        (
            "median margin",
            margin,
            _decimals(margin),
            "How much better the positive fits than the hard negative.",
            "higher",
        ),
        (
            "hard negative fits better",
            below,
            _percent(below),
            "Share of rows whose margin is below zero.",
            "lower",
        ),
        (
            "suspected false negatives",
            false,
            _percent(false),
            "Share of scored rows whose hard negative may be right as well.",
            "lower",
        ),
        (
            "suspected wrong positives",
            wrong,
            _percent(wrong),
            "Share of scored rows whose positive may be wrong.",
            "lower",
        ),
        (
            "round-trip rank",
            rank,
            "not measured" if rank is None else f"{rank:,.0f} of {num_pictures or 0:,.0f}",
            "At which place a text finds its own picture again; the median over scored rows.",
            "lower",
        ),
    )
    return [_figure("alignment", *row) for row in rows]


def _fidelity(criteria: Mapping[str, object]) -> list[Figure]:
    found = _table(criteria, "fidelity")
    changes = score_changes({"criteria": criteria}).values()
    draft = _mean([before for before, _ in changes])
    revision = _mean([after for _, after in changes])
    language = _number(found, "language", "agreeing_share")
    near = _number(found, "repeats", "near_duplicates_left_share")
    stages = funnel_of({"criteria": criteria})
    kept = stages[-1][1] / stages[0][1] if stages and stages[0][1] else None
    rate = _number(found, "audited_defect_rate", "rate")
    kappa = _number(found, "judge_agreement", "all", "kappa")
    rows = (
        (
            "teacher's score of its draft",
            draft,
            _decimals(draft),
            "Mean of the four scores from 1 to 5, before revision.",
            "higher",
        ),
        (
            "judge's score of the revision",
            revision,
            _decimals(revision),
            "Mean of the same four by an independent model, after revision.",
            "higher",
        ),
        (
            "judge and teacher agree (kappa)",
            kappa,
            _with_interval(found, _decimals, "judge_agreement", "all", value="kappa"),
            "1 where both give the same scores, 0 where only chance makes them agree.",
            "higher",
        ),
        (
            "texts in their language",
            language,
            _percent(language),
            "Share of the language identifiers' votes for the language asked for.",
            "higher",
        ),
        (
            "near-duplicates left",
            near,
            _percent(near),
            "Share of a sample of rows whose texts are nearly those of another.",
            "lower",
        ),
        (
            "kept of what was asked for",
            kept,
            _percent(kept),
            "Published rows over the samples that the teacher was asked for.",
            "higher",
        ),
        (
            "defects found by people",
            rate,
            _with_interval(found, _percent, "audited_defect_rate", value="rate"),
            "Audited share of rows with a defect, in the version that was audited.",
            "lower",
        ),
    )
    paths = {
        "judge and teacher agree (kappa)": ("judge_agreement", "all"),
        "defects found by people": ("audited_defect_rate",),
    }
    return [
        replace(
            _figure("fidelity", *row),
            low=_number(found, *paths[row[0]], "low") if row[0] in paths else None,
            high=_number(found, *paths[row[0]], "high") if row[0] in paths else None,
        )
        for row in rows
    ]


def _figure(
    criterion: str, name: str, value: float | None, shown: str, meaning: str, better: str | None
) -> Figure:
    return Figure(criterion, name, value, shown, meaning, cast("Better | None", better))


def _with_interval(
    table: Mapping[str, object], show: Callable[[float | None], str], *path: str, value: str
) -> str:
    number = _number(table, *path, value)
    low, high = _number(table, *path, "low"), _number(table, *path, "high")
    if number is None or low is None or high is None:
        return show(number)
    return f"{show(number)} ({show(low)} to {show(high)})"


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1%}"


def _decimals(value: float | None) -> str:
    return "not measured" if value is None else f"{value:z.2f}"


def _table(content: object, *path: str) -> dict[str, object]:
    """The object at a path; an empty one where there is none."""
    for name in path:
        content = cast("dict[str, object]", content).get(name) if _is_table(content) else None
    return cast("dict[str, object]", content) if _is_table(content) else {}


def _is_table(content: object) -> bool:
    return isinstance(content, dict)


def _number(content: object, *path: str) -> float | None:
    """The finite number at a path."""
    value = _table(content, *path[:-1]).get(path[-1])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    return float(value)
