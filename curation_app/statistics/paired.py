"""The same rows judged twice, in two versions say: did the defect rate change?"""

from dataclasses import dataclass
from typing import Any

from statsmodels.stats.contingency_tables import mcnemar

from curation_app.statistics.proportions import Interval, wilson


@dataclass(frozen=True, slots=True)
class PairedChange:
    """Change of a rate over pairs.

    Args:
        difference: Second rate minus first.
        interval: Newcombe's, two-sided.
        p_value: McNemar's exact test of no change.
    """

    num_pairs: int
    first_rate: float
    second_rate: float
    difference: float
    interval: Interval
    p_value: float


def paired_change(
    both: int, only_first: int, only_second: int, neither: int, *, level: float = 0.95
) -> PairedChange:
    """Compares defects of the same rows, first and second time.

    Args:
        both: Rows that are defects both times.
        only_first: Defects the first time only: fixed.
        only_second: Defects the second time only: new.
        neither: Sound both times.
        level: Confidence, two-sided.

    Raises:
        ValueError: A count is negative, or there is no pair.

    Source: McNemar 1947, Psychometrika 12:153; Newcombe 1998, Statistics in
    Medicine 17:2635, method 10.
    """
    counts = (both, only_first, only_second, neither)
    num = sum(counts)
    if min(counts) < 0 or num == 0:
        raise ValueError(f"need counts of at least one pair; got {counts}")
    first, second = both + only_first, both + only_second
    test: Any = mcnemar([[both, only_first], [only_second, neither]], exact=True)
    return PairedChange(
        num_pairs=num,
        first_rate=first / num,
        second_rate=second / num,
        difference=(second - first) / num,
        interval=_newcombe(counts, level),
        p_value=min(float(test.pvalue), 1.0),
    )


def _newcombe(counts: tuple[int, int, int, int], level: float) -> Interval:
    both, only_first, only_second, neither = counts
    num = sum(counts)
    first, second = both + only_first, both + only_second
    one, two = wilson(first, num, level=level), wilson(second, num, level=level)
    p, q = first / num, second / num
    margins = first * (num - first) * second * (num - second)
    phi = 0.0
    if margins:
        product = both * neither - only_first * only_second
        # Continuity, as Newcombe has it: towards no correlation, never across.
        product = max(product - num / 2, 0.0) if product > 0 else product
        phi = product / margins**0.5
    down = (q - two.low) ** 2 - 2 * phi * (q - two.low) * (one.high - p) + (one.high - p) ** 2
    up = (two.high - q) ** 2 - 2 * phi * (two.high - q) * (p - one.low) + (p - one.low) ** 2
    return Interval(q - p - max(down, 0.0) ** 0.5, q - p + max(up, 0.0) ** 0.5)
