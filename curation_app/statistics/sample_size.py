"""How many items an audit needs for an interval of a given width."""

import math
from collections.abc import Sequence

from curation_app.statistics.stratified import allocate, effective_interval


def expected_half_width(
    population_H: Sequence[int], num_H: Sequence[int], expected_rate: float, *, level: float = 0.95
) -> float:
    """Half the width of the overall interval to expect of an allocation.

    Args:
        population_H: Items of each stratum.
        num_H: Items drawn from each; a stratum with none is left out.
        expected_rate: Defect rate assumed in every stratum.
        level: Confidence, two-sided.

    Raises:
        ValueError: Nothing is drawn, or the rate is not in [0, 1].
    """
    if not 0 <= expected_rate <= 1:
        raise ValueError(f"expected_rate must be in [0, 1]; got {expected_rate}")
    drawn = [(size, num) for size, num in zip(population_H, num_H, strict=True) if num > 0]
    if not drawn:
        raise ValueError("no item is drawn")
    total = sum(size for size, _ in drawn)
    unit_variance = sum((size / total) ** 2 * (1 - num / size) / num for size, num in drawn)
    effective = 1 / unit_variance if unit_variance > 1e-15 else math.inf
    return effective_interval(expected_rate, effective, level=level).half_width


def sample_size(
    population_H: Sequence[int],
    half_width: float,
    expected_rate: float,
    *,
    floor: int = 0,
    level: float = 0.95,
) -> int:
    """Fewest items whose overall interval is at most +-`half_width` at the expected rate.

        sample_size([15_000], half_width=0.02, expected_rate=0.05)

    The interval is the one the audit will report, so that the promise is kept
    at low rates, where the textbook's normal formula asks for too few.

    Args:
        population_H: Items of each stratum.
        half_width: Such as 0.02 for two percentage points either way.
        expected_rate: A guess; the interval is widest at 0.5.
        floor: At least so many per stratum.
        level: Confidence, two-sided.

    Raises:
        ValueError: `half_width` is not positive.
    """
    if half_width <= 0:
        raise ValueError(f"half_width must be above 0; got {half_width}")

    def is_enough(total: int) -> bool:
        num_H = allocate(population_H, total, floor=floor)
        return expected_half_width(population_H, num_H, expected_rate, level=level) <= half_width

    low, high = 1, sum(population_H)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return sum(allocate(population_H, low, floor=floor))
