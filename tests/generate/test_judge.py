"""Agreement figures against values worked out by hand and by another formula."""

import io
import random
from collections.abc import Callable

import numpy as np
import orjson
import pytest
from rich.console import Console

from builder.generate.agreement import (
    CRITERIA,
    Agreement,
    compare_scores,
    judge_agreement,
    print_agreement,
)
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from tests.generate.conftest import build, make_config
from tests.generate.fault_server import FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]


def test_exact_and_near_scores_are_shares() -> None:
    agreement = Agreement()
    for teacher, judge in ((4, 4), (4, 5), (2, 5), (3, 3)):
        agreement.add((teacher, judge))
    assert (agreement.num, agreement.exact, agreement.within_one) == (4, 0.5, 0.75)


def test_weighted_kappa_equals_its_definition_by_moments() -> None:
    random.seed(0)
    pairs = [(random.randint(1, 5), random.randint(1, 5)) for _ in range(500)]
    agreement = Agreement()
    for teacher, judge in pairs:
        agreement.add((teacher, judge))
    x, y = np.array(pairs, dtype=float).T
    # With quadratic weights kappa is the concordance of two raters (Fleiss and Cohen 1973).
    concordance = (
        2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    )
    assert agreement.kappa == pytest.approx(concordance)


def test_perfect_agreement_is_one_and_a_constant_rater_has_no_kappa() -> None:
    perfect, constant = Agreement(), Agreement()
    for score in (1, 2, 3, 4, 5):
        perfect.add((score, score))
        constant.add((score, 4))
    assert perfect.kappa == 1.0
    assert constant.kappa is None


def test_the_interval_holds_kappa_as_often_as_it_says_though_scores_of_a_sample_are_alike() -> None:
    """200 sets of 60 samples whose four scores share one mistake or none."""
    rng = random.Random(1)

    def drawn(num: int) -> Agreement:
        agreement = Agreement()
        for _ in range(num):
            scores = [rng.randint(1, 5) for _ in range(4)]
            shift = rng.choice((0, 0, 2))
            agreement.add(*((score, min(5, score + shift)) for score in scores))
        return agreement

    truth = drawn(20_000).kappa
    assert truth is not None
    figures = [drawn(60).figure() for _ in range(200)]
    held = sum(f.low <= truth <= f.high for f in figures if f.low is not None and f.high)
    assert 180 <= held <= 199
    assert figures[0].num_samples == 60 and figures[0].num_scores == 240


def test_agreement_is_reported_by_language_with_its_interval() -> None:
    rows = [provenance("fr", score) for score in (4, 4, 4, 2)] + [provenance("ja", None)]
    figures = judge_agreement(rows)
    assert set(figures) == {"all", "fr"}
    assert figures["fr"].num_samples == 4
    assert figures["fr"].kappa is figures["fr"].low is None  # the teacher gave 4 throughout
    assert judge_agreement([]) == {}


def provenance(language: str, judge: int | None, *, revised: bool = True) -> bytes:
    def scores(score: int) -> dict[str, dict[str, int]]:
        return {name: {"score": score} for name in CRITERIA}

    return orjson.dumps(
        {
            "language": language,
            "draft": {"instruction": "Find it."},
            "evaluation": scores(4),
            "revision": {"instruction": "Find the caption." if revised else "Find it."},
            "judge": scores(judge) if judge else None,
        }
    )


def test_scores_are_compared_by_language_and_over_all() -> None:
    found = compare_scores([provenance("fr", 4), provenance("ja", 2), provenance("fr", None)])
    assert {name: comparison.every.num for name, comparison in found.items()} == {
        "all": 8,
        "fr": 4,
        "ja": 4,
    }
    assert found["fr"].every.exact == 1.0
    assert found["ja"].every.within_one == 0.0


def test_only_samples_that_the_revision_left_alone_have_scores_of_the_same_texts() -> None:
    rows = [provenance("fr", 1), provenance("fr", 4, revised=False), provenance("ja", 2)]
    found = compare_scores(rows)
    assert found["all"].every.num == 12
    assert (found["all"].same_texts.num, found["all"].same_texts.exact) == (4, 1.0)
    assert found["ja"].same_texts.num == 0


def test_the_table_says_what_was_scored_by_whom(serve: Serve, new_workspace: NewWorkspace) -> None:
    serve()
    workspace = new_workspace()
    judge = {"model": "second", "prices": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}}
    build(workspace, make_config(24, judge=judge))
    said = io.StringIO()
    with Ledger(workspace.ledger_path) as ledger:
        print_agreement(ledger, Console(file=said, width=200))
    text = " ".join(said.getvalue().split())
    assert "│ all │ 96 │ 100.0% │ - │ 0 │ - │ - │" in text
    assert (
        "The teacher scored its draft before it revised it, the judge scored the revision" in text
    )
