"""Intervals by resampling dependent queries together: those of one concept."""

import numpy as np
from numpy.typing import NDArray

# S resamples, U units, G strata (languages, cells), P resamples at once

_CELLS_PER_BLOCK = 8_000_000


def bootstrap_means(
    sums_GU: NDArray[np.float64],
    counts_GU: NDArray[np.float64],
    num_resamples: int,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Mean over strata of the mean in each, in each resample of the units, shape (S,).

    Units are resampled, not queries: queries for one concept in many languages
    succeed or fail together. A stratum without a query in a resample is left out
    of it. Equal seeds resample equally, so that differences between models can
    be taken resample by resample.

    Args:
        sums_GU: Sum of a metric over the queries, by stratum and unit.
        counts_GU: Number of queries, likewise.
        num_resamples: S.
        seed: Of the resampling.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 8.
    """
    num_units = sums_GU.shape[1]
    generator = np.random.default_rng(seed)
    shares_U = np.full(num_units, 1 / num_units)
    means: list[NDArray[np.float64]] = []
    block = max(1, _CELLS_PER_BLOCK // num_units)
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        weights_PU = generator.multinomial(num_units, shares_U, size=size)
        sums_PG = weights_PU @ sums_GU.T
        counts_PG = weights_PU @ counts_GU.T
        has_PG = counts_PG > 0
        mean_PG = np.divide(sums_PG, counts_PG, out=np.zeros_like(sums_PG), where=has_PG)
        means.append(mean_PG.sum(axis=1) / np.maximum(has_PG.sum(axis=1), 1))
    return np.concatenate(means)


def interval(values_S: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.percentile(values_S, [2.5, 97.5])
    return float(low), float(high)
