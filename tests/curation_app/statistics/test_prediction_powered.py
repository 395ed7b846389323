"""The prediction-powered estimate against ppi_python 0.2.3, and where scores are of no use."""

import numpy as np
import pytest

from curation_app.statistics.prediction_powered import prediction_powered


def scored(num: int, slope: float, offset: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and defects that follow them; by a slope of 0 not at all."""
    generator = np.random.default_rng(seed)
    score = np.round(generator.normal(size=num), 3)
    defect = (generator.random(num) < 1 / (1 + np.exp(offset - slope * score))).astype(float)
    return score, defect


def test_the_point_is_that_of_ppi_python_at_the_same_tuning() -> None:
    score, defect = scored(200, 2.0, 0.8, 42)
    found = prediction_powered(defect[:60], score[:60], score)
    # ppi_mean_pointestimate(Y, Yhat, Yhat_unlabeled, lam=0.3859633197387309)
    assert found.tuning == pytest.approx(0.3859633197387309)
    assert found.estimate.rate == pytest.approx(0.42970811, abs=1e-7)


def test_the_saving_is_that_of_ppi_python_in_a_large_population() -> None:
    generator = np.random.default_rng(42)
    for size in (200, 200):
        generator.normal(size=size)
    score, defect = scored(60_000, 1.5, 1.0, 11)
    found = prediction_powered(defect[:3_000], score[:3_000], score)
    residual = np.std(defect[:3_000] - found.tuning * score[:3_000]) / np.sqrt(3_000)
    assumed = found.tuning * np.std(score) / np.sqrt(60_000)
    # The two parts of ppi_mean_ci's width, over that of the plain mean.
    theirs = np.hypot(residual, assumed) / (np.std(defect[:3_000]) / np.sqrt(3_000))
    assert found.width_ratio == pytest.approx(theirs, abs=0.01)


def test_a_useless_score_leaves_the_classical_interval() -> None:
    for seed in range(30):
        score, defect = scored(5_000, 0.0, 2.5, seed)
        found = prediction_powered(defect[:300], score[:300], score)
        assert found.width_ratio <= 1
        if found.tuning == 0:
            assert found.estimate == found.classical


def test_a_score_of_either_sign_narrows_the_interval_and_moves_the_rate_right() -> None:
    score, defect = scored(20_000, 2.5, 2.0, 5)
    order = np.argsort(-score)  # a sample with too many doubtful rows, by bad luck
    biased = np.r_[order[:4_000:20], order[4_000::80]]
    plain = defect[biased].mean()
    for sign in (1, -1):
        found = prediction_powered(defect[biased], sign * score[biased], sign * score)
        assert found.width_ratio < 0.9
        assert abs(found.estimate.rate - defect.mean()) < abs(plain - defect.mean())


def test_few_defects_are_no_ground_for_tuning() -> None:
    score = np.arange(1_000.0)
    defect = np.zeros(100)
    defect[-4:] = 1
    assert prediction_powered(defect, score[:100], score).tuning == 0


def test_strata_keep_their_weights() -> None:
    generator = np.random.default_rng(4)
    strata = np.repeat([0, 1], [9_000, 1_000])
    defect = (generator.random(10_000) < np.where(strata == 1, 0.5, 0.02)).astype(float)
    score = defect + generator.normal(size=10_000)
    drawn = np.r_[generator.choice(9_000, 200, False), 9_000 + generator.choice(1_000, 200, False)]
    found = prediction_powered(
        defect[drawn], score[drawn], score, strata_N=strata[drawn], strata_M=strata
    )
    assert found.estimate.rate == pytest.approx(defect.mean(), abs=0.03)
    assert defect[drawn].mean() > 0.2  # what it would be without weights


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="M >= N"):
        prediction_powered(np.zeros(5), np.zeros(5), np.zeros(4))
