"""An anytime-valid interval: look after every verdict and stop when you like."""

# N items in the order they were judged, M candidate rates

import numpy as np

from curation_app.statistics.proportions import Interval

_LARGEST_EXACT_POPULATION = 4_000
_NUM_CANDIDATES = 1_001
_LARGEST_BET = 0.75  # share of the capital that may be lost on one item


def confidence_sequence(
    defect_N: np.ndarray, *, population: int | None = None, level: float = 0.95
) -> list[Interval]:
    """After each item the interval so far; all of them hold at once with probability `level`.

    Two gamblers bet against every candidate rate, one that it is higher and
    one that it is lower; a candidate against which the capital grows
    1 / (1 - level) times is out for good. Bets shrink with the variance seen.

    Args:
        defect_N: 1 for a defect, else 0, in random order; shape (N,).
        population: Size of what is drawn from without replacement; None for
            independent items.
        level: Confidence, two-sided, over all times together.

    Returns:
        Intervals, each within the one before; they end in the rate itself
        when the whole population is seen.

    Raises:
        ValueError: More items than the population has.

    Source: Waudby-Smith and Ramdas 2024, JRSS-B 86:1, the hedged capital
    process, with and without replacement (arXiv:2010.09686).
    """
    defect_N = np.asarray(defect_N, dtype=float)
    if population is not None and len(defect_N) > population:
        raise ValueError(f"{len(defect_N)} items of a population of {population}")
    candidate_M = _candidates(population)
    bet_N = _bets(defect_N, 1 - level)
    log_up_M = np.zeros(len(candidate_M))
    log_down_M = np.zeros(len(candidate_M))
    is_in_M = np.ones(len(candidate_M), dtype=bool)
    limit = np.log(2 / (1 - level))
    intervals: list[Interval] = []
    num_defects = 0.0
    for index, (defect, bet) in enumerate(zip(defect_N, bet_N, strict=True)):
        mean_M = candidate_M
        if population is not None:
            mean_M = (population * candidate_M - num_defects) / (population - index)
            # More or fewer defects than were seen cannot be.
            is_in_M &= (mean_M >= -1e-12) & (mean_M <= 1 + 1e-12)
            mean_M = np.clip(mean_M, 0.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            up_M = np.minimum(bet, _LARGEST_BET / np.maximum(mean_M, 1e-12))
            down_M = np.minimum(bet, _LARGEST_BET / np.maximum(1 - mean_M, 1e-12))
        log_up_M += np.log1p(up_M * (defect - mean_M))
        log_down_M += np.log1p(-down_M * (defect - mean_M))
        is_in_M &= np.maximum(log_up_M, log_down_M) < limit
        num_defects += defect
        intervals.append(_around(candidate_M, is_in_M, intervals, population))
    return intervals


def _candidates(population: int | None) -> np.ndarray:
    if population is not None and population <= _LARGEST_EXACT_POPULATION:
        return np.arange(population + 1) / population
    # Closer together at both ends, where rates of a good or a hopeless version lie.
    return (1 - np.cos(np.linspace(0, np.pi, _NUM_CANDIDATES))) / 2


def _bets(defect_N: np.ndarray, alpha: float) -> np.ndarray:
    """Predictable plug-in bets: each looks only at the items before it."""
    number_N = np.arange(1, len(defect_N) + 1)
    mean_N = (0.5 + np.cumsum(defect_N)) / (number_N + 1)
    variance_N = (0.25 + np.cumsum((defect_N - mean_N) ** 2)) / (number_N + 1)
    before_N = np.concatenate([[0.25], variance_N[:-1]]) if len(defect_N) else variance_N
    return np.sqrt(2 * np.log(2 / alpha) / (before_N * number_N * np.log(number_N + 1)))


def _around(
    candidate_M: np.ndarray, is_in_M: np.ndarray, before: list[Interval], population: int | None
) -> Interval:
    """From the candidate below the first one left to the one above the last."""
    inside = np.flatnonzero(is_in_M)
    if not len(inside):  # capital grew against all: the last interval stands
        return before[-1] if before else Interval(0.0, 1.0)
    first, last = int(inside[0]), int(inside[-1])
    if population is None or population > _LARGEST_EXACT_POPULATION:
        first, last = max(first - 1, 0), min(last + 1, len(candidate_M) - 1)
    return Interval(float(candidate_M[first]), float(candidate_M[last]))
