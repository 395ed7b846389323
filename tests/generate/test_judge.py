"""Agreement figures against values worked out by hand and by another formula."""

import random

import numpy as np
import orjson
import pytest

from builder.generate.judge import CRITERIA, Agreement, measure_agreement


def test_exact_and_near_scores_are_shares() -> None:
    agreement = Agreement()
    for teacher, judge in ((4, 4), (4, 5), (2, 5), (3, 3)):
        agreement.add(teacher, judge)
    assert (agreement.num, agreement.exact, agreement.within_one) == (4, 0.5, 0.75)


def test_weighted_kappa_equals_its_definition_by_moments() -> None:
    random.seed(0)
    pairs = [(random.randint(1, 5), random.randint(1, 5)) for _ in range(500)]
    agreement = Agreement()
    for teacher, judge in pairs:
        agreement.add(teacher, judge)
    x, y = np.array(pairs, dtype=float).T
    # With quadratic weights kappa is the concordance of two raters (Fleiss and Cohen 1973).
    concordance = (
        2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    )
    assert agreement.kappa == pytest.approx(concordance)


def test_perfect_agreement_is_one_and_a_constant_rater_has_no_kappa() -> None:
    perfect, constant = Agreement(), Agreement()
    for score in (1, 2, 3, 4, 5):
        perfect.add(score, score)
        constant.add(score, 4)
    assert perfect.kappa == 1.0
    assert constant.kappa is None


def test_agreement_is_counted_by_language_and_over_all() -> None:
    def provenance(language: str, judge: int | None) -> bytes:
        def scores(score: int) -> dict[str, dict[str, int]]:
            return {name: {"score": score} for name in CRITERIA}

        return orjson.dumps(
            {
                "language": language,
                "evaluation": scores(4),
                "judge": scores(judge) if judge else None,
            }
        )

    found = measure_agreement([provenance("fr", 4), provenance("ja", 2), provenance("fr", None)])
    assert {name: agreement.num for name, agreement in found.items()} == {
        "all": 8,
        "fr": 4,
        "ja": 4,
    }
    assert found["fr"].exact == 1.0
    assert found["ja"].within_one == 0.0
