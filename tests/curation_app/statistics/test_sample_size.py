"""Sample sizes keep the width they promise, and no smaller one would."""

import pytest

from curation_app.statistics.sample_size import expected_half_width, sample_size
from curation_app.statistics.stratified import allocate


@pytest.mark.parametrize("sizes", [[15_000], [9_000, 5_000, 700, 300]])
@pytest.mark.parametrize(("half_width", "rate"), [(0.02, 0.05), (0.01, 0.01), (0.05, 0.3)])
def test_the_size_is_the_smallest_that_keeps_the_width(
    sizes: list[int], half_width: float, rate: float
) -> None:
    num = sample_size(sizes, half_width, rate)
    assert expected_half_width(sizes, allocate(sizes, num), rate) <= half_width
    assert expected_half_width(sizes, allocate(sizes, num - 2), rate) > half_width


def test_a_small_population_needs_no_more_than_itself() -> None:
    assert sample_size([100, 200], 0.0001, 0.05) == 300
    assert sample_size([400], 0.02, 0.05) < sample_size([40_000], 0.02, 0.05)


def test_floors_are_counted() -> None:
    assert sample_size([1_000] * 92, 0.2, 0.05, floor=20) == 92 * 20


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="half_width"):
        sample_size([100], 0.0, 0.05)
