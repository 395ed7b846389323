"""One proportion: the Wilson interval to show, the Clopper-Pearson interval to guarantee."""

from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a proportion or of a difference."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its interval.

    Args:
        rate: Point estimate, in [0, 1].
        interval: Two-sided, at the level it was asked for.
        num: Items it rests on.
        effective_num: Items of a simple random sample that would say as much;
            `math.inf` where every item of the population was looked at.
    """

    rate: float
    interval: Interval
    num: int
    effective_num: float


def wilson(num_defects: float, num: float, *, level: float = 0.95) -> Interval:
    """Score interval of a proportion: close to its level on average, good to show.

    Args:
        num_defects: Of `num` items; both may be fractions (effective counts).
        level: Confidence, two-sided.

    Raises:
        ValueError: The counts are not 0 <= num_defects <= num with num > 0.

    Source: Wilson 1927, JASA 22:209.
    """
    _check(num_defects, num, level)
    z = float(stats.norm.ppf((1 + level) / 2))
    rate = num_defects / num
    denominator = 1 + z * z / num
    centre = (rate + z * z / (2 * num)) / denominator
    spread = z / denominator * (rate * (1 - rate) / num + z * z / (4 * num * num)) ** 0.5
    low = 0.0 if num_defects == 0 else max(centre - spread, 0.0)
    high = 1.0 if num_defects == num else min(centre + spread, 1.0)
    return Interval(low, high)


def clopper_pearson(num_defects: float, num: float, *, level: float = 0.95) -> Interval:
    """Exact interval of a proportion: covers at least its level, whatever the rate.

    Arguments and errors as in `wilson`; fractions give the interval of an
    effective sample (Korn and Graubard).

    Source: Clopper and Pearson 1934, Biometrika 26:404.
    """
    _check(num_defects, num, level)
    tail = (1 - level) / 2
    low = high = 0.0
    if num_defects > 0:
        low = float(stats.beta.ppf(tail, num_defects, num - num_defects + 1))
    if num_defects < num:
        high = float(stats.beta.ppf(1 - tail, num_defects + 1, num - num_defects))
    else:
        high = 1.0
    return Interval(low, high)


def finite_clopper_pearson(
    num_defects: int, num: int, population: int, *, level: float = 0.95
) -> Interval:
    """Exact interval of the rate of a population of which `num` were drawn, without replacement.

    Covers at least its level also where much of the population was drawn, and
    is the rate itself where all of it was.

    Raises:
        ValueError: The counts are not 0 <= num_defects <= num <= population.

    Source: Wright 1991, Exact Confidence Bounds when Sampling from Small
    Finite Universes, by inversion of the hypergeometric distribution.
    """
    _check(num_defects, num, level)
    if num > population:
        raise ValueError(f"{num} items of a population of {population}")
    tail = (1 - level) / 2
    least, most = num_defects, population - num + num_defects

    def is_too_few(defects: int) -> bool:
        return float(stats.hypergeom.sf(num_defects - 1, population, defects, num)) <= tail

    def is_too_many(defects: int) -> bool:
        return float(stats.hypergeom.cdf(num_defects, population, defects, num)) <= tail

    low, high = least, most
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if is_too_few(middle) else (low, middle)
    first, high = low, most
    low = least
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (low, middle - 1) if is_too_many(middle) else (middle, high)
    return Interval(first / population, low / population)


def _check(num_defects: float, num: float, level: float) -> None:
    if not (num > 0 and 0 <= num_defects <= num):
        raise ValueError(f"need 0 <= num_defects <= num and num > 0; got {num_defects} of {num}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; got {level}")
