"""Acceptance sampling: how many to look at, how many defects to allow, by the operating curve."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

AcceptanceDecision = Literal["accept", "reject", "go on"]
_MAX_ITEMS = 1_000_000


@dataclass(frozen=True, slots=True)
class AcceptancePlan:
    """Look at `num` items, accept with at most `max_defects` defects.

    Args:
        producer_risk: Probability to reject a lot at the good rate.
        consumer_risk: Probability to accept a lot at the bad rate.
    """

    num: int
    max_defects: int
    producer_risk: float
    consumer_risk: float

    def decide(self, num_seen: int, num_defects: int) -> AcceptanceDecision:
        """The decision so far; one that is made never changes, so stopping early costs nothing."""
        if num_defects > self.max_defects:
            return "reject"
        if num_defects + max(self.num - num_seen, 0) <= self.max_defects:
            return "accept"
        return "go on"


def acceptance_plan(
    good_rate: float,
    bad_rate: float,
    *,
    alpha: float = 0.05,
    beta: float = 0.10,
    population: int | None = None,
) -> AcceptancePlan:
    """Smallest plan that keeps both risks.

        acceptance_plan(0.01, 0.05)  # 132 items, at most 3 defects

    Args:
        good_rate: At this rate at most `alpha` of lots are rejected.
        bad_rate: At this rate at most `beta` of lots are accepted.
        population: Size of the lot, drawn without replacement (hypergeometric);
            None for a large one (binomial).

    Raises:
        ValueError: Not 0 <= good_rate < bad_rate <= 1, risks outside (0, 1),
            or a lot too small to tell the two rates apart.

    Source: Schilling and Neubauer 2017, Acceptance Sampling in Quality Control, chapter 5.
    """
    if not 0 <= good_rate < bad_rate <= 1:
        raise ValueError(f"need 0 <= good_rate < bad_rate <= 1; got {good_rate}, {bad_rate}")
    if not (0 < alpha < 1 and 0 < beta < 1):
        raise ValueError(f"alpha and beta must be between 0 and 1; got {alpha}, {beta}")
    largest = _MAX_ITEMS if population is None else population
    num = 0
    for max_defects in range(largest + 1):
        num = _fewest(max(num, max_defects + 1), largest, max_defects, bad_rate, beta, population)
        if num > largest:
            break
        producer_risk = 1 - acceptance_probability(num, max_defects, good_rate, population)
        if producer_risk <= alpha:
            consumer_risk = acceptance_probability(num, max_defects, bad_rate, population)
            return AcceptancePlan(num, max_defects, producer_risk, consumer_risk)
    raise ValueError(
        f"no plan for {largest} items tells {good_rate:.2%} from {bad_rate:.2%}: "
        "move the rates further apart, or look at every item"
    )


def acceptance_probability(
    num: int, max_defects: int, rate: float, population: int | None = None
) -> float:
    """The operating curve: how probably a lot of a defect rate is accepted.

    A finite lot holds a whole number of defects, rounded up.
    """
    if population is None:
        return float(stats.binom.cdf(max_defects, num, rate))
    defects = int(np.ceil(rate * population - 1e-9))
    return float(stats.hypergeom.cdf(max_defects, population, defects, num))


def _fewest(
    low: int, high: int, max_defects: int, rate: float, beta: float, population: int | None
) -> int:
    """Smallest number of items that accepts a bad lot with probability at most `beta`."""
    if acceptance_probability(high, max_defects, rate, population) > beta:
        return high + 1
    while low < high:
        middle = (low + high) // 2
        if acceptance_probability(middle, max_defects, rate, population) <= beta:
            high = middle
        else:
            low = middle + 1
    return low
