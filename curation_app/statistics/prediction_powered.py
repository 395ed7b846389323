"""Prediction-powered estimate: verdicts on a sample, made sharper by a score that all rows have."""

# N items with a verdict, M rows of the population, H strata

from dataclasses import dataclass

import numpy as np

from curation_app.statistics.proportions import Estimate
from curation_app.statistics.stratified import (
    StratumCount,
    effective_interval,
    merge_small,
    stratified_estimate,
)

_MIN_DEFECTS = 5  # fewer say nothing of how scores and defects go together
_MIN_T = 2.5  # a weaker correlation than this many standard errors may be chance


@dataclass(frozen=True, slots=True)
class PoweredEstimate:
    """The estimate with and without the score.

    Args:
        estimate: Prediction-powered; equal to `classical` where the score is useless.
        classical: From the verdicts alone.
        tuning: The factor lambda on the score; 0 where the score is not used.
    """

    estimate: Estimate
    classical: Estimate
    tuning: float

    @property
    def width_ratio(self) -> float:
        """Width of the powered interval over that of the classical one, at most 1."""
        classical = self.classical.interval.half_width
        return self.estimate.interval.half_width / classical if classical else 1.0


def prediction_powered(
    defect_N: np.ndarray,
    score_N: np.ndarray,
    score_M: np.ndarray,
    *,
    strata_N: np.ndarray | None = None,
    strata_M: np.ndarray | None = None,
    level: float = 0.95,
) -> PoweredEstimate:
    """Defect rate of a population of M rows, each with a score, from verdicts on N of them.

    The verdicts' rate is moved by lambda times the difference between the
    score's mean over all rows and over the sample. Lambda is what leaves least
    variance, hence a score on any scale or of either sign will do. It is 0, and
    the classical estimate stands, with fewer than five defects or with a
    correlation that may be chance; so the interval is never the wider one. The
    interval is that of an effective sample, larger by the variance saved.

    Args:
        defect_N: 1 for a defect, else 0; shape (N,).
        score_N: Scores of the same items, shape (N,).
        score_M: Scores of every row of the population, shape (M,), M >= N.
        strata_N: Stratum codes 0 to H - 1 of the items; None for one stratum.
        strata_M: Those of the population.
        level: Confidence, two-sided.

    Raises:
        ValueError: Shapes do not fit, or a stratum has more items than rows.

    Source: Angelopoulos, Duchi and Zrnic 2023 (PPI++), arXiv:2311.01453; for a
    sample that is part of its population it is the regression estimator of
    Cochran 1977, chapter 7. Strata: Fisch et al. 2024, arXiv:2406.04291.
    """
    defect_N, score_N = np.asarray(defect_N, dtype=float), np.asarray(score_N, dtype=float)
    score_M = np.asarray(score_M, dtype=float)
    if defect_N.shape != score_N.shape or len(score_M) < len(score_N):
        raise ValueError(
            f"defect_N and score_N need one shape (N,), score_M (M,) with M >= N; got "
            f"{defect_N.shape}, {score_N.shape}, {score_M.shape}"
        )
    strata_N = np.zeros(len(defect_N), dtype=int) if strata_N is None else np.asarray(strata_N)
    strata_M = np.zeros(len(score_M), dtype=int) if strata_M is None else np.asarray(strata_M)
    num_strata = int(strata_M.max(initial=-1)) + 1
    size_H = np.bincount(strata_M, minlength=num_strata)
    num_H = np.bincount(strata_N, minlength=num_strata)
    defects_H = np.bincount(strata_N, defect_N, minlength=num_strata)
    classical = stratified_estimate(
        [
            StratumCount(str(stratum), int(size_H[stratum]), int(num_H[stratum]), found)
            for stratum, found in enumerate(defects_H.tolist())
        ],
        level=level,
    )
    groups = merge_small(size_H.tolist(), num_H.tolist())
    group_of_H = np.zeros(num_strata, dtype=int)
    for group, members in enumerate(groups):
        group_of_H[members] = group
    found = _tuned(
        defect_N, score_N, score_M, group_of_H[strata_N], group_of_H[strata_M], len(groups)
    )
    if found is None:
        return PoweredEstimate(classical, classical, 0.0)
    shift, gain, tuning = found
    rate = min(max(classical.rate + shift, 0.0), 1.0)
    effective = classical.effective_num * gain
    interval = effective_interval(rate, effective, level=level)
    if interval.half_width >= classical.interval.half_width:
        return PoweredEstimate(classical, classical, 0.0)
    return PoweredEstimate(Estimate(rate, interval, len(defect_N), effective), classical, tuning)


def _tuned(
    defect_N: np.ndarray,
    score_N: np.ndarray,
    score_M: np.ndarray,
    group_N: np.ndarray,
    group_M: np.ndarray,
    num_groups: int,
) -> tuple[float, float, float] | None:
    """Shift of the rate, ratio of the variances, and lambda; None where the score is of no use."""
    num = len(defect_N)
    num_free = num - num_groups - 1
    if min(defect_N.sum(), num - defect_N.sum()) < _MIN_DEFECTS or num_free < 2 * _MIN_DEFECTS:
        return None
    num_G = np.bincount(group_N, minlength=num_groups)
    size_G = np.bincount(group_M, minlength=num_groups)
    weight_G = size_G / size_G.sum()

    def mean(values: np.ndarray, groups: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return np.bincount(groups, values, minlength=num_groups) / counts

    scores_G = mean(score_N, group_N, num_G)
    defect_N = defect_N - mean(defect_N, group_N, num_G)[group_N]
    score_N = score_N - scores_G[group_N]
    unit_G = weight_G**2 * (1 - num_G / size_G) / (num_G * np.maximum(num_G - 1, 1))
    unit_N = unit_G[group_N]
    var_defect, var_score = np.sum(unit_N * defect_N**2), np.sum(unit_N * score_N**2)
    if var_defect <= 0 or var_score <= 0:
        return None
    tuning = float(np.sum(unit_N * defect_N * score_N) / var_score)
    residual_N = defect_N - tuning * score_N
    # One item more that the score is wrong about: a perfect score in a sample proves no perfection.
    remaining = np.sum(unit_N * residual_N**2) * (num - num_groups) / num_free + np.mean(unit_N)
    error = np.sqrt(np.sum((unit_N * score_N * residual_N) ** 2)) / var_score
    if abs(tuning) < _MIN_T * error or remaining >= var_defect:
        return None
    difference = float(np.sum(weight_G * (mean(score_M, group_M, size_G) - scores_G)))
    return tuning * difference, float(var_defect / remaining), tuning
