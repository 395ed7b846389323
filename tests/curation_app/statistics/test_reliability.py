"""Who can be relied on, and the rate that remains when what reviewers miss is counted in."""

import math

import numpy as np
import pytest

from curation_app.statistics.proportions import Estimate, clopper_pearson
from curation_app.statistics.reliability import Detection, corrected_rate, dawid_skene


def apparent(found: int, num: int) -> Estimate:
    return Estimate(found / num, clopper_pearson(found, num), num, float(num))


def test_dawid_skene_finds_reviewers_and_rate_without_a_truth() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random(4_000) < 0.2
    sensitivity, specificity = np.array([0.95, 0.8, 0.6, 0.9]), np.array([0.97, 0.99, 0.9, 0.95])
    yes = np.where(truth[:, None], sensitivity, 1 - specificity)
    votes = (generator.random((4_000, 4)) < yes).astype(float)
    votes[generator.random(votes.shape) < 0.25] = np.nan
    found = dawid_skene(votes)
    assert found.rate == pytest.approx(0.2, abs=0.02)
    assert found.sensitivity_R == pytest.approx(sensitivity, abs=0.05)
    assert found.specificity_R == pytest.approx(specificity, abs=0.03)
    assert np.mean((found.defect_prob_I > 0.5) == truth) > 0.95


def test_dawid_skene_refuses_what_is_no_vote() -> None:
    with pytest.raises(ValueError, match="votes"):
        dawid_skene(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="votes"):
        dawid_skene(np.array([[2.0, 0.0]]))


def test_the_corrected_rate_is_rogan_and_gladens() -> None:
    found = corrected_rate(apparent(15, 300), Detection(16, 20))
    assert found is not None and found.rate == pytest.approx(0.05 / 0.8)
    both = corrected_rate(apparent(15, 300), Detection(16, 20), Detection(49, 50))
    assert both is not None and both.rate == pytest.approx((0.05 - 0.02) / (0.8 + 0.98 - 1))


def test_perfect_reviewers_leave_the_clopper_pearson_interval() -> None:
    plain = apparent(15, 300)
    found = corrected_rate(plain, Detection(100_000, 100_000))
    assert found is not None
    assert found.interval.low == pytest.approx(plain.interval.low, rel=0.02)
    assert found.interval.high == pytest.approx(plain.interval.high, rel=0.02)


def test_weaker_reviewers_and_fewer_planted_defects_widen_the_interval() -> None:
    widths = []
    for found, shown in ((95, 100), (60, 100), (6, 10)):
        estimate = corrected_rate(apparent(15, 300), Detection(found, shown))
        assert estimate is not None
        widths.append(estimate.interval.half_width)
    assert widths == sorted(widths)


def test_reviewers_who_find_next_to_nothing_allow_no_correction() -> None:
    assert corrected_rate(apparent(15, 300), Detection(0, 20)) is None
    assert corrected_rate(apparent(15, 300), Detection(0, 0)) is None


def test_a_census_keeps_only_the_doubt_about_the_reviewers() -> None:
    whole = Estimate(0.04, clopper_pearson(4, 100), 100, math.inf)
    found = corrected_rate(whole, Detection(10, 10))
    assert found is not None and found.rate == pytest.approx(0.04)
    assert found.interval.low == pytest.approx(0.04) and found.interval.high > 0.04


def test_the_share_found_has_the_exact_interval() -> None:
    estimate = Detection(16, 20).estimate()
    assert (estimate.rate, estimate.interval) == (0.8, clopper_pearson(16, 20))
