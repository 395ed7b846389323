"""Paired change: Newcombe's published example and McNemar's exact test."""

import pytest
from scipy import stats

from curation_app.statistics.paired import paired_change


def test_the_interval_is_newcombes_method_10() -> None:
    # Newcombe 1998, table II, contrast (36, 12, 2, 0): 0.0569 to 0.3404.
    found = paired_change(36, 12, 2, 0)
    assert found.difference == pytest.approx(-0.2)
    assert (-found.interval.high, -found.interval.low) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_test_is_the_binomial_one_on_the_changed_pairs() -> None:
    found = paired_change(5, 12, 3, 80)
    assert found.p_value == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert (found.first_rate, found.second_rate) == (0.17, 0.08)


def test_swapping_the_two_sides_swaps_the_interval() -> None:
    one, two = paired_change(5, 12, 3, 80), paired_change(5, 3, 12, 80)
    assert one.interval.low == pytest.approx(-two.interval.high)
    assert one.interval.high == pytest.approx(-two.interval.low)


def test_no_change_at_all_is_no_evidence() -> None:
    found = paired_change(0, 0, 0, 10)
    assert found.p_value == 1 and found.interval.contains(0)
    with pytest.raises(ValueError, match="at least one pair"):
        paired_change(0, 0, 0, 0)
