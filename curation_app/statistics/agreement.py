"""How far reviewers agree: raw, Krippendorff's alpha and Gwet's AC1, with bootstrap intervals.

All three, for alpha alone misleads where defects are rare: three reviewers who
are right in 97 % of cases reach an alpha of only 0.4 at 5 % defects.
"""

# I items, V values that a vote can take

import warnings
from dataclasses import dataclass

import krippendorff
import numpy as np

from curation_app.statistics.proportions import Interval


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement over the items that have at least two votes.

    Args:
        raw: Share of agreeing pairs of votes, item by item.
        alpha: Krippendorff's alpha, nominal; None where all votes are alike.
        ac1: Gwet's AC1.
        num_items: Items with two votes or more.
    """

    raw: float
    raw_interval: Interval
    alpha: float | None
    alpha_interval: Interval | None
    ac1: float
    ac1_interval: Interval
    num_items: int


def agreement(
    votes_IV: np.ndarray, *, level: float = 0.95, num_resamples: int = 500, seed: int = 0
) -> Agreement | None:
    """Agreement from vote counts; None where no item has two votes.

    Args:
        votes_IV: How many reviewers gave each item each value, shape (I, V), V >= 2.
        num_resamples: Bootstrap samples of items.
        seed: Of the bootstrap.

    Raises:
        ValueError: Not a table of counts with two columns or more.

    Source: Krippendorff 2018, Content Analysis, chapter 12; Gwet 2008,
    British J. Math. Stat. Psych. 61:29.
    """
    votes_IV = np.asarray(votes_IV)
    if votes_IV.ndim != 2 or votes_IV.shape[1] < 2 or np.any(votes_IV < 0):
        raise ValueError(f"votes_IV must hold counts, shape (I, V >= 2); got {votes_IV.shape}")
    votes_IV = votes_IV[votes_IV.sum(axis=1) >= 2]
    num_items = len(votes_IV)
    if not num_items:
        return None
    generator = np.random.default_rng(seed)
    drawn = [votes_IV[generator.integers(num_items, size=num_items)] for _ in range(num_resamples)]
    alphas = [alpha for alpha in map(krippendorff_alpha, drawn) if alpha is not None]
    alpha = krippendorff_alpha(votes_IV)
    return Agreement(
        raw=raw_agreement(votes_IV),
        raw_interval=_interval([raw_agreement(sample) for sample in drawn], level),
        alpha=alpha,
        alpha_interval=None if alpha is None or not alphas else _interval(alphas, level),
        ac1=gwet_ac1(votes_IV),
        ac1_interval=_interval([gwet_ac1(sample) for sample in drawn], level),
        num_items=num_items,
    )


def raw_agreement(votes_IV: np.ndarray) -> float:
    """Mean over items of the share of agreeing pairs; every item needs two votes."""
    num_I = votes_IV.sum(axis=1)
    return float(np.mean((votes_IV * (votes_IV - 1)).sum(axis=1) / (num_I * (num_I - 1))))


def krippendorff_alpha(votes_IV: np.ndarray) -> float | None:
    """Nominal alpha from counts; None where only one value was ever given."""
    if np.count_nonzero(votes_IV.sum(axis=0)) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(krippendorff.alpha(value_counts=votes_IV, level_of_measurement="nominal"))


def gwet_ac1(votes_IV: np.ndarray) -> float:
    """AC1 from counts, for any number of reviewers per item, two at least."""
    share_V = (votes_IV / votes_IV.sum(axis=1, keepdims=True)).mean(axis=0)
    by_chance = float(np.sum(share_V * (1 - share_V)) / (len(share_V) - 1))
    return (raw_agreement(votes_IV) - by_chance) / (1 - by_chance)


def _interval(values: list[float], level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
