"""The interval that holds at every look."""

import itertools

import numpy as np
import pytest

from curation_app.statistics.sequential import confidence_sequence


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_rate_is_inside_at_every_look(rate: float) -> None:
    generator = np.random.default_rng(7)
    population = np.zeros(2_000)
    population[: round(rate * 2_000)] = 1
    missed = 0
    for _ in range(100):
        drawn = generator.permutation(population)[:150]
        intervals = confidence_sequence(drawn, population=2_000)
        missed += any(not interval.contains(rate) for interval in intervals)
    assert missed <= 8  # 5 are promised at most, 8 with the luck of 100 tries


def test_it_narrows_and_ends_in_the_rate_when_everything_is_seen() -> None:
    items = np.random.default_rng(1).permutation(np.r_[np.ones(7), np.zeros(93)])
    intervals = confidence_sequence(items, population=100)
    widths = [interval.half_width for interval in intervals]
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(widths))
    assert (intervals[-1].low, intervals[-1].high) == pytest.approx((0.07, 0.07), abs=0.011)
    assert intervals[-1].contains(0.07)


def test_an_unbounded_stream_narrows_too() -> None:
    items = (np.random.default_rng(2).random(3_000) < 0.05).astype(float)
    last = confidence_sequence(items)[-1]
    assert last.contains(0.05) and last.half_width < 0.02


def test_more_items_than_the_population_has_are_refused() -> None:
    with pytest.raises(ValueError, match="3 items of a population of 2"):
        confidence_sequence(np.zeros(3), population=2)
    assert confidence_sequence(np.zeros(0)) == []
