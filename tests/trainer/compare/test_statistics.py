import math

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.compare.statistics import Difference, difference, seed_interval, student_quantile

# S seeds, U units

Values = NDArray[np.float64]


def _arm(
    generator: np.random.Generator, chance_U: Values, seed_spread: float, num_seeds: int
) -> Values:
    """Recall of each concept in five languages, of trainings that differ by seed."""
    shift_S1 = generator.normal(0, seed_spread, (num_seeds, 1))
    own_SU = generator.normal(0, 0.1, (num_seeds, len(chance_U)))
    found_SU = np.clip(chance_U + shift_S1 + own_SU, 0, 1)
    return generator.binomial(5, found_SU) / 5


def _pair(
    number: int, shift: float = 0.0, *, seed_spread: float, num_seeds: int = 3, spread: float = 0.05
) -> Difference:
    """Two arms on 150 concepts; each concept may suit one arm's data better."""
    generator = np.random.default_rng([number, num_seeds])
    base_U = generator.uniform(0.35, 0.65, 150)  # so that nothing is clipped
    suits_U = generator.normal(0, spread, 150)
    second = _arm(generator, base_U, seed_spread, num_seeds)
    first = _arm(generator, np.clip(base_U + suits_U + shift, 0, 1), seed_spread, num_seeds)
    return difference(first, second)


@pytest.mark.parametrize(("seed_spread", "num_seeds"), [(0.005, 3), (0.02, 5)])
def test_equal_arms_are_found_different_in_few_of_200_comparisons(
    seed_spread: float, num_seeds: int
) -> None:
    found = [_pair(n, seed_spread=seed_spread, num_seeds=num_seeds).is_found for n in range(200)]
    assert sum(found) <= 20


def test_a_real_difference_is_found_and_its_interval_covers_it() -> None:
    pairs = [_pair(n, 0.08, seed_spread=0.005, spread=0.0) for n in range(60)]
    assert sum(pair.is_found and pair.mean > 0 for pair in pairs) >= 54
    assert sum(pair.interval[0] <= 0.08 <= pair.interval[1] for pair in pairs) >= 54


def test_swapping_the_arms_mirrors_the_difference() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 3, 40))
    forth, back = difference(first, second), difference(second, first)
    assert back.mean == pytest.approx(-forth.mean)
    assert back.interval == pytest.approx((-forth.interval[1], -forth.interval[0]))


def test_arms_that_are_the_same_differ_by_nothing() -> None:
    same = np.random.default_rng(0).random((3, 40))
    found = difference(same, same)
    assert (found.mean, found.interval, found.is_found) == (0.0, (0.0, 0.0), False)


def test_a_constant_difference_is_found_without_doubt() -> None:
    base = np.random.default_rng(0).random((3, 40))
    found = difference(base + 0.25, base)
    assert found.mean == pytest.approx(0.25)
    assert found.interval == pytest.approx((0.25, 0.25))
    assert found.is_found


def test_differences_of_the_units_alone_are_an_interval_of_student() -> None:
    units = np.random.default_rng(0).normal(size=50)
    found = difference(np.tile(units, (3, 1)), np.zeros((3, 50)))
    half = 2.0096 * units.std(ddof=1) / math.sqrt(50)
    assert found.interval[1] - found.mean == pytest.approx(half, rel=0.02)
    assert found.unit_variance == pytest.approx(units.var(ddof=1) / 50)
    assert (found.seed_variance, found.joint_variance) == pytest.approx((0, 0))


def test_differences_of_the_seeds_alone_widen_it_as_few_seeds_must() -> None:
    seeds = np.array([[-0.01], [0.0], [0.01]])
    found = difference(np.tile(seeds, (1, 50)), np.zeros((3, 50)))
    half = found.interval[1] - found.mean
    assert half <= 4.303 * 0.01 / math.sqrt(3) * 1.02, "no wider than Student with two degrees"
    assert half >= 2.776 * 0.01 / math.sqrt(3) * 0.98, "no shorter than with four"
    assert found.seed_variance == pytest.approx(1e-4)


def _of(seed: float, unit: float, joint: float) -> Difference:
    return Difference(0.0, (-0.1, 0.1), seed**2, unit**2, joint**2, 3, 300)


def test_seeds_to_see_an_effect_are_enough_and_one_less_is_not() -> None:
    found = _of(seed=0.01, unit=0.002, joint=0.005)
    num_seeds = found.seeds_to_see(0.01)
    assert num_seeds is not None and 3 < num_seeds < 40
    assert (found.seeds_to_see(0.02) or math.inf) < num_seeds
    shares = [_power(count, 0.01, 0.002, 0.005) for count in (num_seeds, max(2, num_seeds // 2))]
    assert shares[0] >= 0.65 > 0.55 > shares[1]


def _power(num_seeds: int, seed: float, unit: float, joint: float) -> float:
    """Share of simulated comparisons that find a difference of 0.01."""
    generator = np.random.default_rng(1)
    found = 0
    for _ in range(100):
        values = generator.normal(0.01, joint * math.sqrt(300), (num_seeds, 300))
        values += generator.normal(0, seed, (num_seeds, 1))
        values += generator.normal(0, unit * math.sqrt(300), 300)
        found += difference(values, np.zeros_like(values)).is_found
    return found / 100


def test_where_concepts_vary_too_much_more_seeds_are_not_enough() -> None:
    found = _of(seed=0.001, unit=0.01, joint=0.001)
    assert found.smallest_visible == pytest.approx(2.8016 * 0.01, rel=1e-3)
    assert found.seeds_to_see(0.01) is None
    num_units = found.units_to_see(0.01)
    more = _of(seed=0.0, unit=0.01 * math.sqrt(300 / num_units), joint=0.0)
    assert more.smallest_visible < 0.01
    assert more.seeds_to_see(0.01) is not None


@pytest.mark.parametrize("shapes", [((1, 9), (1, 9)), ((3, 1), (3, 1)), ((3, 9), (3, 8))])
def test_too_little_to_tell_is_refused(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="two or more of each"):
        difference(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_the_interval_of_a_few_seeds_is_students() -> None:
    low, high = seed_interval([0.1, 0.2, 0.3])
    assert (low + high) / 2 == pytest.approx(0.2)
    assert high - 0.2 == pytest.approx(4.303 * 0.1 / math.sqrt(3))
    assert seed_interval([0.4]) == (0.4, 0.4)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (9, 2.262), (10, 2.228), (30, 2.042), (200, 1.972)]
)
def test_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, rel=2e-3)
