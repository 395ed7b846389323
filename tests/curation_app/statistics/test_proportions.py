"""Intervals of one proportion against the numbers of statsmodels and of a brute-force search."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from curation_app.statistics.proportions import clopper_pearson, finite_clopper_pearson, wilson


@pytest.mark.parametrize(("found", "num"), [(0, 300), (6, 300), (1, 7), (299, 300), (5, 5)])
def test_intervals_are_those_of_statsmodels(found: int, num: int) -> None:
    for interval, method in ((wilson, "wilson"), (clopper_pearson, "beta")):
        low, high = proportion_confint(found, num, method=method)
        ours = interval(found, num)
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-9)


def test_no_defect_in_300_leaves_room_for_the_known_upper_limits() -> None:
    assert wilson(0, 300).high == pytest.approx(0.0126, abs=5e-5)
    assert clopper_pearson(0, 300).high == pytest.approx(0.0122, abs=5e-5)


def test_clopper_pearson_covers_at_every_rate() -> None:
    num = 40
    intervals = [clopper_pearson(found, num) for found in range(num + 1)]
    for rate in np.linspace(0.001, 0.999, 101):
        pmf = stats.binom.pmf(np.arange(num + 1), num, rate)
        covered = [interval.contains(rate) for interval in intervals]
        assert pmf[covered].sum() >= 0.95


@pytest.mark.parametrize(("population", "num"), [(60, 50), (100, 30), (500, 40)])
def test_the_interval_of_a_finite_population_covers_at_every_rate(
    population: int, num: int
) -> None:
    intervals = [finite_clopper_pearson(found, num, population) for found in range(num + 1)]
    for defects in range(population + 1):
        pmf = stats.hypergeom.pmf(np.arange(num + 1), population, defects, num)
        covered = [interval.contains(defects / population) for interval in intervals]
        assert pmf[covered].sum() >= 0.95


def test_the_interval_of_a_finite_population_ends_in_the_rate() -> None:
    whole = finite_clopper_pearson(3, 20, 20)
    assert whole.low == whole.high == 3 / 20
    large, exact = finite_clopper_pearson(6, 300, 900_000), clopper_pearson(6, 300)
    assert (large.low, large.high) == pytest.approx((exact.low, exact.high), rel=0.01)
    with pytest.raises(ValueError, match="5 items of a population of 4"):
        finite_clopper_pearson(0, 5, 4)


def test_impossible_counts_are_refused() -> None:
    for found, num in ((-1, 10), (11, 10), (0, 0)):
        with pytest.raises(ValueError, match="0 <= num_defects <= num"):
            wilson(found, num)
    with pytest.raises(ValueError, match="level"):
        clopper_pearson(1, 10, level=95)
