"""Stratified, weighted and clustered estimates against samplics 0.6.1 and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from curation_app.statistics.proportions import clopper_pearson
from curation_app.statistics.stratified import (
    StratumCount,
    allocate,
    merge_small,
    stratified_estimate,
    stratum_estimate,
    weighted_estimate,
)

#: Defects in 24 clusters of five, and the clusters' weights: what samplics was given.
CLUSTERED = (
    "000000000000001111100000000001000001011100000000000000000000"
    "000000000000000101110000011111101100010010100111101001011010"
)
CLUSTER_WEIGHTS = [2, 3, 3, 1, 2, 3, 1, 5, 2, 3, 1, 5, 3, 1, 2, 2, 2, 4, 5, 4, 1, 3, 3, 4]


def test_the_stratified_rate_is_that_of_samplics() -> None:
    counts = [
        StratumCount("a", 1000, 50, 3),
        StratumCount("b", 500, 50, 10),
        StratumCount("c", 100, 20, 1),
    ]
    found = stratified_estimate(counts)
    assert found.rate == pytest.approx(0.103125, abs=1e-9)
    # samplics: standard error 0.0276925 without the correction, smaller with it; the effective
    # sample must claim no more than the corrected one allows.
    with_correction = math.sqrt(
        sum(
            (c.population / 1600) ** 2
            * (1 - c.num / c.population)
            * (p := c.num_defects / c.num)
            * (1 - p)
            / (c.num - 1)
            for c in counts
        )
    )
    claimed = math.sqrt(found.rate * (1 - found.rate) / found.effective_num)
    assert with_correction <= claimed <= 1.2 * with_correction
    assert found.interval.contains(found.rate)


def test_strata_that_differ_narrow_the_interval_once_enough_defects_are_found() -> None:
    differ = [StratumCount("a", 5_000, 200, 2), StratumCount("b", 5_000, 200, 120)]
    alike = [StratumCount("a", 5_000, 200, 61), StratumCount("b", 5_000, 200, 61)]
    one, two = stratified_estimate(differ), stratified_estimate(alike)
    assert one.rate == two.rate and one.interval.half_width < 0.85 * two.interval.half_width


def test_a_clustered_sample_has_the_standard_error_of_samplics() -> None:
    defects = np.array([int(digit) for digit in CLUSTERED], dtype=float)
    weights = np.repeat(CLUSTER_WEIGHTS, 5).astype(float)
    clusters = np.repeat(np.arange(24), 5)
    found = weighted_estimate(defects, 1 / weights, clusters_N=clusters)
    assert found.rate == pytest.approx(0.3353846153846154)
    # With the degrees of freedom of 24 clusters for 120 items taken out again:
    spread = stats.t.ppf(0.975, 119) / stats.t.ppf(0.975, 23)
    variance = found.rate * (1 - found.rate) / (found.effective_num / spread**2)
    assert math.sqrt(variance) == pytest.approx(0.0823502551497255)


def test_one_stratum_without_correction_is_clopper_pearson() -> None:
    found = stratum_estimate(StratumCount("all", 10**9, 300, 6))
    exact = clopper_pearson(6, 300)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (exact.low, exact.high), rel=1e-4
    )


def test_a_population_that_was_looked_at_whole_has_no_uncertainty() -> None:
    found = stratified_estimate([StratumCount("a", 20, 20, 3), StratumCount("b", 5, 5, 0)])
    assert found.rate == pytest.approx(3 / 25)
    assert found.interval.low == found.interval.high == pytest.approx(3 / 25)


def test_strata_without_verdicts_do_not_stop_the_estimate() -> None:
    counts = [
        StratumCount("a", 500, 0, 0),
        StratumCount("b", 500, 1, 0),
        StratumCount("c", 9, 9, 2),
    ]
    assert 0 <= stratified_estimate(counts).rate <= 1
    with pytest.raises(ValueError, match="no stratum"):
        stratified_estimate([StratumCount("a", 5, 0, 0)])
    with pytest.raises(ValueError, match="7 items of 5"):
        stratified_estimate([StratumCount("a", 5, 7, 0), StratumCount("b", 5, 2, 0)])


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_merged_strata_keep_every_stratum_once(pairs: list[tuple[int, int]]) -> None:
    sizes = [max(pair) for pair in pairs]
    nums = [min(pair) for pair in pairs]
    groups = merge_small(sizes, nums)
    members = sorted(member for group in groups for member in group)
    assert members == [index for index, size in enumerate(sizes) if size]
    if sum(nums) >= 2:
        assert all(
            sum(nums[m] for m in group) >= min(2, sum(sizes[m] for m in group)) for group in groups
        )


def test_weights_matter_where_no_defect_is_found() -> None:
    even = weighted_estimate(np.zeros(100), np.full(100, 0.01))
    uneven = weighted_estimate(np.zeros(100), np.r_[np.full(90, 0.1), np.full(10, 0.001)])
    assert even.effective_num == pytest.approx(100)
    assert uneven.effective_num < 15 and uneven.interval.high > even.interval.high


def test_probabilities_of_a_draw_are_checked() -> None:
    with pytest.raises(ValueError, match="inclusion probability"):
        weighted_estimate(np.zeros(2), np.array([0.0, 0.5]))
    with pytest.raises(ValueError, match="one shape"):
        weighted_estimate(np.zeros(2), np.ones(3))


def test_allocation_is_proportional_or_neymans() -> None:
    assert allocate([1000, 500, 500], 100) == [50, 25, 25]
    # Neyman by hand: 500 x sqrt(.3 x .7) against 1000 x sqrt(.01 x .99).
    share = 500 * math.sqrt(0.21) / (500 * math.sqrt(0.21) + 1000 * math.sqrt(0.0099))
    assert allocate([1000, 500], 100, rates_H=[0.01, 0.3]) == [
        100 - round(100 * share),
        round(100 * share),
    ]


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=30),
    st.integers(0, 3000),
    st.integers(0, 25),
)
def test_allocation_gives_what_was_asked_within_bounds(
    sizes: list[int], total: int, floor: int
) -> None:
    nums = allocate(sizes, total, floor=floor)
    least = [min(size, floor) for size in sizes]
    assert all(low <= num <= size for low, num, size in zip(least, nums, sizes, strict=True))
    assert sum(nums) == min(max(total, sum(least)), sum(sizes))
