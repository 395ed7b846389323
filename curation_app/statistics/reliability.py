"""How far reviewers can be relied on: by each other's votes, and by defects planted for them."""

# I items, R reviewers, K draws

import math
from dataclasses import dataclass

import numpy as np

from curation_app.statistics.proportions import Estimate, Interval, clopper_pearson

_PRIOR = 1.0  # one item right and one wrong, so that no reviewer is certain
_MAX_ROUNDS = 500
_TOLERANCE = 1e-8
_NUM_DRAWS = 50_000


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """What the votes say of items and reviewers, no verdict being the true one.

    Args:
        rate: Share of defects among the items.
        defect_prob_I: Probability that an item is a defect.
        sensitivity_R: Share of defects a reviewer finds.
        specificity_R: Share of sound items a reviewer passes.
    """

    rate: float
    defect_prob_I: np.ndarray
    sensitivity_R: np.ndarray
    specificity_R: np.ndarray


def dawid_skene(votes_IR: np.ndarray) -> DawidSkene:
    """Estimates reviewers and items together, by expectation and maximisation.

    Needs items with three votes or more to tell who errs; with two it leans on
    the prior and on how rare defects are.

    Args:
        votes_IR: 1 for a defect, 0 for none, NaN where a reviewer has not
            voted; shape (I, R).

    Raises:
        ValueError: No vote at all, or a value other than 0, 1 and NaN.

    Source: Dawid and Skene 1979, Applied Statistics 28:20, with a Beta(2, 2)
    prior on sensitivity, specificity and rate.
    """
    votes_IR = np.asarray(votes_IR, dtype=float)
    is_given_IR = ~np.isnan(votes_IR)
    yes_IR = np.where(is_given_IR, votes_IR, 0.0)
    if not is_given_IR.any() or np.any((yes_IR != 0) & (yes_IR != 1)):
        raise ValueError("votes_IR needs votes: 1, 0, or NaN where there is none")
    no_IR = is_given_IR - yes_IR
    defect_I = yes_IR.sum(axis=1) / np.maximum(is_given_IR.sum(axis=1), 1)
    rate, sensitivity_R, specificity_R = _maximised(defect_I, yes_IR, no_IR)
    for _ in range(_MAX_ROUNDS):
        log_odds_I = (
            math.log(rate / (1 - rate))
            + yes_IR @ np.log(sensitivity_R / (1 - specificity_R))
            + no_IR @ np.log((1 - sensitivity_R) / specificity_R)
        )
        before_I, defect_I = defect_I, 1 / (1 + np.exp(-np.clip(log_odds_I, -500, 500)))
        rate, sensitivity_R, specificity_R = _maximised(defect_I, yes_IR, no_IR)
        if np.max(np.abs(defect_I - before_I)) < _TOLERANCE:
            break
    return DawidSkene(rate, defect_I, sensitivity_R, specificity_R)


def _maximised(
    defect_I: np.ndarray, yes_IR: np.ndarray, no_IR: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Rate, sensitivities and specificities that fit the items best."""
    given_IR = yes_IR + no_IR
    rate = float((defect_I.sum() + _PRIOR) / (len(defect_I) + 2 * _PRIOR))
    sensitivity_R = _share(defect_I @ yes_IR, defect_I @ given_IR)
    specificity_R = _share((1 - defect_I) @ no_IR, (1 - defect_I) @ given_IR)
    return rate, sensitivity_R, specificity_R


def _share(part_R: np.ndarray, whole_R: np.ndarray) -> np.ndarray:
    return (part_R + _PRIOR) / (whole_R + 2 * _PRIOR)


@dataclass(frozen=True, slots=True)
class Detection:
    """Planted items shown and recognised: defects found, or sound ones passed."""

    num_found: int
    num_shown: int

    def estimate(self, *, level: float = 0.95) -> Estimate:
        """Share found, with the Clopper-Pearson interval.

        Raises:
            ValueError: None was shown.
        """
        interval = clopper_pearson(self.num_found, self.num_shown, level=level)
        return Estimate(
            self.num_found / self.num_shown, interval, self.num_shown, float(self.num_shown)
        )


def corrected_rate(
    apparent: Estimate,
    found: Detection,
    passed: Detection | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate | None:
    """The defect rate that an apparent one means, given what reviewers miss.

    (apparent + specificity - 1) / (sensitivity + specificity - 1). The
    interval melds the Clopper-Pearson limits of the three, by Monte Carlo: few
    planted items make it wide.

    Args:
        apparent: Rate of items that reviewers call defects.
        found: Planted defects shown and found.
        passed: Items known to be sound, shown and passed; None takes every
            defect that reviewers report for one.
        seed: Of the Monte Carlo draws.

    Returns:
        None where too little was found to say anything: the sensitivity may be
        no better than chance.

    Source: Rogan and Gladen 1978, Am. J. Epidemiology 107:71; interval: Bayer,
    Fay and Graubard 2023, arXiv:2205.13494.
    """
    if found.num_shown == 0:
        return None
    sensitivity = found.num_found / found.num_shown
    specificity = (
        1.0 if passed is None or not passed.num_shown else (passed.num_found / passed.num_shown)
    )
    if sensitivity + specificity <= 1.05:
        return None
    generator = np.random.default_rng(seed)
    tail = (1 - level) / 2
    rate_low_K, rate_high_K = _limits(apparent.rate, apparent.effective_num, generator)
    found_low_K, found_high_K = _limits(sensitivity, found.num_shown, generator)
    passed_low_K = passed_high_K = np.ones(_NUM_DRAWS)
    if passed is not None and passed.num_shown:
        passed_low_K, passed_high_K = _limits(specificity, passed.num_shown, generator)
    # A high sensitivity and a low specificity make the true rate low.
    low = np.quantile(_rogan_gladen(rate_low_K, found_high_K, passed_low_K), tail)
    high = np.quantile(_rogan_gladen(rate_high_K, found_low_K, passed_high_K), 1 - tail)
    rate = float(_rogan_gladen(apparent.rate, sensitivity, specificity))
    interval = Interval(min(float(low), rate), max(float(high), rate))
    return Estimate(rate, interval, apparent.num, apparent.effective_num)


def _limits(
    rate: float, num: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of a proportion's lower and upper confidence distribution."""
    if math.isinf(num):
        return np.full(_NUM_DRAWS, rate), np.full(_NUM_DRAWS, rate)
    count = rate * num
    low_K = high_K = np.zeros(_NUM_DRAWS)
    if count > 0:
        low_K = generator.beta(count, num - count + 1, _NUM_DRAWS)
    high_K = np.ones(_NUM_DRAWS)
    if count < num:
        high_K = generator.beta(count + 1, num - count, _NUM_DRAWS)
    return low_K, high_K


def _rogan_gladen(rate: object, sensitivity: object, specificity: object) -> np.ndarray:
    better_than_chance = np.asarray(sensitivity) + np.asarray(specificity) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = (np.asarray(rate) + np.asarray(specificity) - 1) / better_than_chance
    return np.clip(np.where(better_than_chance > 0, corrected, 1.0), 0.0, 1.0)
