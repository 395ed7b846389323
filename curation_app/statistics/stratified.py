"""The rate of a population from a designed sample: strata, unequal probabilities, clusters.

Every estimate ends in one interval, the Clopper-Pearson interval of an effective
sample: it keeps its level where the normal interval fails, at 1 % defects.
"""

# N items in the sample, H strata

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from curation_app.statistics.proportions import (
    Estimate,
    Interval,
    clopper_pearson,
    finite_clopper_pearson,
)

_MIN_PER_STRATUM = 2  # a variance needs two
_LARGEST_EXACT_POPULATION = 1_000_000
_FEW_DEFECTS = 20  # or of sound items, where most are defects


@dataclass(frozen=True, slots=True)
class StratumCount:
    """What is known of one stratum: its size and what was found in its sample."""

    name: str
    population: int
    num: int
    num_defects: float


def effective_interval(rate: float, effective_num: float, *, level: float = 0.95) -> Interval:
    """Clopper-Pearson interval of a rate found in an effective sample.

    Source: Korn and Graubard 1998, Survey Methodology 24:193.
    """
    if math.isinf(effective_num):
        return Interval(rate, rate)
    return clopper_pearson(rate * effective_num, effective_num, level=level)


def stratum_estimate(stratum: StratumCount, *, level: float = 0.95) -> Estimate:
    """Rate of one stratum from a simple random sample of it, without replacement.

    Raises:
        ValueError: The sample is empty or larger than the stratum.
    """
    if not 0 < stratum.num <= stratum.population:
        raise ValueError(
            f'stratum "{stratum.name}": need 1 to {stratum.population} items, got {stratum.num}'
        )
    num, population = stratum.num, stratum.population
    rate = stratum.num_defects / num
    effective = _inverse((1 - num / population) / num)
    interval = effective_interval(rate, effective, level=level)
    if population <= _LARGEST_EXACT_POPULATION and float(stratum.num_defects).is_integer():
        interval = finite_clopper_pearson(int(stratum.num_defects), num, population, level=level)
    return Estimate(rate, interval, num, effective)


def stratified_estimate(strata: Sequence[StratumCount], *, level: float = 0.95) -> Estimate:
    """Rate of the population: sum of W_h p_h, with finite population correction.

    Strata with fewer than two items are merged with the smallest others until
    each has two. The effective sample is that of the variance as estimated,
    with each stratum's rate drawn to the overall one by two items. With fewer
    than twenty defects it is no larger than that of equal rates everywhere:
    the few may lie in strata of little weight by chance.

    Raises:
        ValueError: No item at all, or more items than a stratum has.

    Source: Cochran 1977, Sampling Techniques, 5.3; Korn and Graubard 1998.
    """
    merged = _merged(strata)
    num = sum(stratum.num for stratum in merged)
    if num == 0:
        raise ValueError("no stratum has any item yet")
    over = next((stratum for stratum in merged if stratum.num > stratum.population), None)
    if over is not None:
        raise ValueError(f'stratum "{over.name}": {over.num} items of {over.population}')
    if len(merged) == 1:
        return stratum_estimate(merged[0], level=level)
    population_H = np.array([stratum.population for stratum in merged], dtype=float)
    num_H = np.array([stratum.num for stratum in merged], dtype=float)
    defects_H = np.array([stratum.num_defects for stratum in merged], dtype=float)
    weight_H = population_H / population_H.sum()
    rate = float(np.sum(weight_H * defects_H / num_H))
    unit_variance_H = weight_H**2 * (1 - num_H / population_H) / num_H
    drawn_H = (defects_H + 2 * rate) / (num_H + 2)
    correction_H = num_H / np.maximum(num_H - 1, 1)
    variance = float(np.sum(unit_variance_H * correction_H * drawn_H * (1 - drawn_H)))
    effective = _inverse(float(np.sum(unit_variance_H)))
    if variance > 0 and 0 < rate < 1:
        by_rates = rate * (1 - rate) / variance
        num_rarer = min(defects_H.sum(), num - defects_H.sum())
        effective = by_rates if num_rarer >= _FEW_DEFECTS else min(effective, by_rates)
    rate = min(max(rate, 0.0), 1.0)
    return Estimate(rate, effective_interval(rate, effective, level=level), num, effective)


def weighted_estimate(
    defect_N: np.ndarray,
    inclusion_prob_N: np.ndarray,
    *,
    clusters_N: np.ndarray | None = None,
    level: float = 0.95,
) -> Estimate:
    """Hajek estimate from items drawn with unequal probabilities, or in clusters.

    Args:
        defect_N: 1 for a defect, else 0; shape (N,).
        inclusion_prob_N: Probability with which each item came in, shape (N,).
        clusters_N: Code of the unit that was drawn whole (an image and all its
            rows, say), shape (N,); None where items were drawn one by one.
        level: Confidence, two-sided.

    Raises:
        ValueError: Shapes differ, no item, or a probability outside (0, 1].

    Source: Hajek 1971; Kish 1965 for weights; Korn and Graubard 1998 for the
    effective sample and its degrees of freedom.
    """
    defect_N = np.asarray(defect_N, dtype=float)
    inclusion_prob_N = np.asarray(inclusion_prob_N, dtype=float)
    if defect_N.shape != inclusion_prob_N.shape or defect_N.ndim != 1 or not len(defect_N):
        raise ValueError(
            f"defect_N and inclusion_prob_N must have one shape (N,), N > 0; got "
            f"{defect_N.shape} and {inclusion_prob_N.shape}"
        )
    if not np.all((inclusion_prob_N > 0) & (inclusion_prob_N <= 1)):
        raise ValueError("every inclusion probability must be above 0 and at most 1")
    num = len(defect_N)
    weight_N = 1 / inclusion_prob_N
    weight_N = weight_N / weight_N.sum()
    rate = float(min(np.sum(weight_N * defect_N), 1.0))
    codes_N = (
        np.arange(num) if clusters_N is None else np.unique(clusters_N, return_inverse=True)[1]
    )
    num_clusters = int(codes_N.max()) + 1
    by_weight = _inverse(float(np.sum(weight_N**2)))  # Kish
    if num_clusters == 1 and num > 1:
        return Estimate(rate, effective_interval(rate, 1.0, level=level), num, 1.0)
    effective = by_weight
    if 0 < rate < 1:
        score_C = np.bincount(codes_N, weight_N * (defect_N - rate), minlength=num_clusters)
        variance = float(np.sum(score_C**2)) * num_clusters / max(num_clusters - 1, 1)
        effective = min(effective, rate * (1 - rate) / variance) if variance > 0 else effective
    if clusters_N is not None:
        size_C = np.bincount(codes_N, weight_N, minlength=num_clusters)
        if rate in (0.0, 1.0):
            # No variance to see: as if the items of a cluster were all alike.
            effective = min(effective, _inverse(float(np.sum(size_C**2))))
        quantile = (1 + level) / 2
        spread = stats.t.ppf(quantile, max(num - 1, 1)) / stats.t.ppf(quantile, num_clusters - 1)
        effective *= float(spread) ** 2
    return Estimate(rate, effective_interval(rate, effective, level=level), num, effective)


def allocate(
    population_H: Sequence[int],
    total: int,
    *,
    rates_H: Sequence[float] | None = None,
    floor: int = 0,
) -> list[int]:
    """Items to draw from each stratum: Neyman's allocation, with a floor.

    Without rates it is proportional to size. No stratum gives more than it has,
    and small strata are taken whole; the floors count even where they add up
    to more than `total`. Whole numbers by largest remainder.

    Args:
        population_H: Items of each stratum.
        total: Items to draw in all.
        rates_H: Defect rates expected; a stratum's share grows with
            size x sqrt(rate x (1 - rate)).
        floor: At least so many from each stratum.

    Raises:
        ValueError: `total` is negative, or the shapes differ.

    Source: Neyman 1934, JRSS 97:558.
    """
    size_H = np.asarray(population_H, dtype=np.int64)
    if total < 0 or (rates_H is not None and len(rates_H) != len(size_H)):
        raise ValueError("total must not be negative, and rates_H needs one rate per stratum")
    spread_H = np.ones(len(size_H))
    if rates_H is not None:
        rate_H = np.clip(np.asarray(rates_H, dtype=float), 1e-4, 1 - 1e-4)
        spread_H = np.sqrt(rate_H * (1 - rate_H))
    low_H = np.minimum(size_H, floor)
    chosen_H = low_H.astype(float)
    total = int(min(max(total, low_H.sum()), size_H.sum()))
    open_H = np.ones(len(size_H), dtype=bool)
    while open_H.any():
        left = total - chosen_H[~open_H].sum()
        share_H = np.where(open_H, size_H * spread_H, 0.0)
        wanted_H = left * share_H / share_H.sum() if share_H.sum() else share_H
        over_H, under_H = open_H & (wanted_H > size_H), open_H & (wanted_H < low_H)
        if not over_H.any() and not under_H.any():
            chosen_H[open_H] = wanted_H[open_H]
            break
        # As in a water filling: settle the side that is further off first.
        excess = (wanted_H - size_H)[over_H].sum()
        lack = (low_H - wanted_H)[under_H].sum()
        settled_H = over_H if excess >= lack else under_H
        chosen_H[settled_H] = (size_H if excess >= lack else low_H)[settled_H]
        open_H &= ~settled_H
    return _rounded(chosen_H, size_H, total)


def _rounded(chosen_H: np.ndarray, size_H: np.ndarray, total: int) -> list[int]:
    whole_H = np.floor(chosen_H + 1e-9).astype(int)
    order = np.argsort(whole_H - chosen_H, kind="stable")
    while whole_H.sum() < total:
        for stratum in order:
            if whole_H.sum() == total:
                break
            whole_H[stratum] += int(whole_H[stratum] < size_H[stratum])
    return whole_H.tolist()


def merge_small(population_H: Sequence[int], num_H: Sequence[int]) -> list[list[int]]:
    """Groups of strata with at least two items each, where there are two at all.

    Strata that have too few go together, the last of them with the smallest
    that has enough; empty strata (population 0) are left out.
    """
    is_enough = [
        num >= min(_MIN_PER_STRATUM, size) for size, num in zip(population_H, num_H, strict=True)
    ]
    order = sorted(
        (stratum for stratum, size in enumerate(population_H) if size > 0),
        key=lambda stratum: (is_enough[stratum], num_H[stratum], stratum),
    )
    groups: list[list[int]] = []
    num, size = _MIN_PER_STRATUM, 0
    for stratum in order:
        if groups and num < min(_MIN_PER_STRATUM, size):
            groups[-1].append(stratum)
        else:
            groups.append([stratum])
            num = size = 0
        num, size = num + num_H[stratum], size + population_H[stratum]
    return groups


def _merged(strata: Sequence[StratumCount]) -> list[StratumCount]:
    groups = merge_small([s.population for s in strata], [s.num for s in strata])
    return [
        StratumCount(
            name=", ".join(strata[member].name for member in group),
            population=sum(strata[member].population for member in group),
            num=sum(strata[member].num for member in group),
            num_defects=sum(strata[member].num_defects for member in group),
        )
        for group in groups
    ]


def _inverse(unit_variance: float) -> float:
    return 1 / unit_variance if unit_variance > 1e-15 else math.inf
