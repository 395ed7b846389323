"""The three criteria in a release's report, card and plots, and two versions side by side."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from PIL import Image

from builder.release.about.counts import ReleaseCounts
from builder.release.about.criteria import alignment
from builder.release.about.criteria_plots import draw_alignment, draw_score_changes
from builder.release.about.criteria_rows import CriteriaRows
from builder.release.about.funnel import funnel, stage_of
from builder.release.about.variety import entropy_bits, self_bleu, vendi_score
from builder.release.build import Release, release
from builder.release.compare_quality import NoCriteriaError, compare_quality
from builder.release.inputs import open_inputs
from builder.release.versions import Version
from builder.workspace import Workspace
from schemas.criteria import figures_of, funnel_of, scores_by_language
from schemas.row_scores import ROW_SCORES_SCHEMA
from schemas.text_rules import RULES


def made(workspace: Workspace, directory: Path) -> Release:
    with open_inputs(workspace, None) as inputs:
        return release(inputs, Version.parse("0.1.0"), directory)


def report_of(directory: Path) -> dict[str, Any]:
    return orjson.loads((directory / "quality.json").read_bytes())


def test_a_release_reports_three_criteria_in_the_same_bytes_each_time(
    workspace: Workspace, tmp_path: Path
) -> None:
    first = made(workspace, tmp_path / "a").directory
    again = made(workspace, tmp_path / "b").directory
    assert (first / "quality.json").read_bytes() == (again / "quality.json").read_bytes()
    report = report_of(first)
    assert list(report["criteria"]) == ["scope", "alignment", "fidelity"]
    figures = {figure.name: figure for figure in figures_of(report)}
    assert len(figures) == 21
    languages = report["criteria"]["scope"]["languages"]
    assert 1 <= languages["effective"] <= languages["num"]
    assert funnel_of(report)[-1] == ("published", report["num_samples"])
    assert figures["median margin"].shown == "not measured"
    assert figures["median score"].value is not None  # the rows of this workspace have scores
    card = (first / "README.md").read_text(encoding="utf-8")
    for title in ("Broad scope", "Cross-modal alignment", "High fidelity"):
        assert f"### {title}" in card
    assert "round trip rank (no model ranked the pictures" in card
    assert "plots/funnel.png" in card and (first / "plots" / "funnel.png").exists()
    assert "plots/alignment.png" in card and "score_changes.png" not in card


def test_the_funnel_adds_up_and_knows_every_check() -> None:
    drops = {"not_json": 5, "answer_leak": 4, "near_duplicate": 3, "low_alignment": 2, "surplus": 1}
    stages = funnel(drops, {"rejected_in_review": 7}, 100)
    assert [num for _, num in stages] == [122, 117, 113, 110, 107, 100]
    assert {stage_of(rule.__name__) for rule in RULES if rule.__name__ != "refusal"} == {"checks"}
    assert stage_of("low_clarity") == "checks" and stage_of("personal_data_email") == "set"


def scored(margins: Sequence[float | None], suspected: Sequence[str | None]) -> dict[str, Any]:
    ids = [f"{number}" for number in range(len(margins))]
    rows = CriteriaRows(
        alignments={"de": [0.1, 0.5], "fr": [0.7, 0.9]},
        languages=dict(zip(ids, ["de", "de", "fr", "fr"], strict=True)),
    )
    table = pa.table(
        {
            "id": ids,
            "alignment": [0.1, 0.5, 0.7, 0.9],
            "margin": pa.array(margins, pa.float64()),
            "negative_match": pa.nulls(4, pa.float64()),
            "picture_rank": [1, 3, 3, 9],
            "num_ranked": [20] * 4,
            "suspected": pa.array(suspected, pa.string()),
            "review_rank": pa.nulls(4, pa.int32()),
        }
    ).cast(ROW_SCORES_SCHEMA)
    return alignment(rows, 5, table)


def test_alignment_is_by_language_with_margins_and_suspects() -> None:
    found = scored([-0.1, 0.1, 0.2, None], [None, "negative", None, None])
    assert found["scored_share"] == 0.8
    assert found["scores_by_language"]["fr"]["median"] == 0.8
    assert found["margins"]["num"] == 3 and found["margins"]["below_zero_share"] == 0.3333
    assert found["false_negative_suspects"] == {"num": 1, "share": 0.25}
    assert found["wrong_positive_suspects"]["num"] == 0
    assert found["not_measured"] == {}
    ranks = {"median": 3.0, "mean_reciprocal": 0.4444, "first_share": 0.25, "num_pictures": 20}
    assert found["round_trip_rank"] == ranks
    report = {"criteria": {"alignment": found}}
    assert list(scores_by_language(report, "scores")) == ["de", "fr"]
    assert draw_alignment(report) is not None


def test_entropy_and_variety_face_what_they_must_be() -> None:
    assert entropy_bits([5, 5, 5, 5]) == pytest.approx(2.0)
    assert entropy_bits([9, 0]) == 0.0
    words = [f"w{number}" for number in range(40)]
    assert self_bleu([words[:10]] * 5) == pytest.approx(1.0)
    apart = self_bleu([words[:10], words[10:20], words[20:30]])
    assert apart is not None and apart < 0.1
    assert self_bleu([words]) is None
    assert vendi_score(["the same text"] * 20) == pytest.approx(1.0)
    draw = random.Random(1)
    random_texts = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=30)) for _ in range(20)]
    assert 15 < vendi_score(random_texts) <= 20.001


def test_self_bleu_is_that_of_the_plain_sum() -> None:
    draw = random.Random(3)
    texts = [draw.choices("abcd", k=draw.randint(4, 9)) for _ in range(12)]

    def grams(text: list[str], order: int) -> list[tuple[str, ...]]:
        return [tuple(text[i : i + order]) for i in range(len(text) - order + 1)]

    total = 0.0
    for place, text in enumerate(texts):
        others = texts[:place] + texts[place + 1 :]
        logs = 0.0
        for order in range(1, 5):
            own = grams(text, order)
            matched = sum(
                min(own.count(gram), max(grams(other, order).count(gram) for other in others))
                for gram in set(own)
            )
            logs += math.log(max(matched, 0.5) / len(own))
        total += math.exp(logs / 4)
    assert self_bleu(texts) == pytest.approx(total / len(texts))


def test_scores_before_and_after_are_drawn_where_rows_were_judged(tmp_path: Path) -> None:
    scores = {
        name: {"draft": 4.2, "draft_of_judged": 4.0, "revision_by_judge": 3.5}
        for name in ("relevance", "plausibility", "clarity", "diversity")
    }
    sheet = draw_score_changes({"criteria": {"fidelity": {"scores": scores}}})
    assert sheet is not None
    sheet.save(tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width == 1560
    assert draw_score_changes({}) is None


def test_two_versions_stand_side_by_side(workspace: Workspace, tmp_path: Path) -> None:
    report = report_of(made(workspace, tmp_path).directory)
    changed = orjson.loads(orjson.dumps(report))
    fidelity, scope = changed["criteria"]["fidelity"], changed["criteria"]["scope"]
    scope["instructions"]["self_bleu"] *= 2
    fidelity["repeats"]["near_duplicates_left_share"] = 0.0
    report["criteria"]["fidelity"]["repeats"]["near_duplicates_left_share"] = 0.02
    for each, rate in ((report, 0.03), (changed, 0.05)):
        rates = {"rate": rate, "low": 0.01, "high": 0.06}
        each["criteria"]["fidelity"]["audited_defect_rate"] = rates
    compared = compare_quality(("0.1.0", report), ("0.2.0", changed))
    changes = {figure.new.name: figure.change for figure in compared.figures}
    assert changes["near-duplicates left"] == "better"
    assert changes["self-BLEU of instructions"] == "worse"
    assert changes["defects found by people"] == "same"  # the intervals overlap
    assert changes["median margin"] == "not comparable"
    assert compared.sentence().startswith("Better: near-duplicates left (2.0% → 0.0%). Worse: ")
    assert compared.as_json()["figures"][0]["old"]["shown"] in "\n".join(compared.lines())


def test_a_report_of_an_earlier_version_is_named() -> None:
    with pytest.raises(NoCriteriaError, match=r"0\.1\.0: its quality.json has no `criteria`"):
        compare_quality(("0.1.0", {"num_samples": 3}), ("0.2.0", {}))


@pytest.mark.parametrize(
    "quality",
    [
        None,
        [],
        {"criteria": 3},
        {"criteria": {"scope": []}},
        {"criteria": {"fidelity": {"funnel": 1}}},
        {
            "criteria": {
                "alignment": {"scores": {"median": "x"}, "scores_by_language": {"de": None}}
            }
        },
        {"criteria": {"alignment": {"scores": {"median": float("nan")}}}},
    ],
)
def test_reports_that_are_none_have_no_figures(quality: object) -> None:
    assert all(figure.value is None for figure in figures_of(quality))
    assert funnel_of(quality) == [] and scores_by_language(quality, "scores") == {}


def test_counts_without_rows_are_allowed() -> None:
    assert ReleaseCounts().criteria.rows == []
