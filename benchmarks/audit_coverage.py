"""Whether an audit's figures keep their promises: simulated audits of versions of known rates.

    python -m benchmarks.audit_coverage --num-audits 500

Each line draws audits again and again from one made-up version of 15,000 rows and counts how
often the interval holds the true rate; of 500 audits that share has a standard error of one
point. Designs, all without replacement:

- simple: 300 (or 100) rows at random;
- languages: 600 rows over 92 languages of very unequal size and rate, two each at least;
- floor of 20: 20 rows of each of 12 strata, whatever their size, 400 in all;
- clustered rows: defects lie in few images' rows, rows are drawn one by one;
- whole clusters: the same, but 100 images are drawn with all their rows;
- unequal: rows drawn with probabilities that differ tenfold;
- any time: the interval after every verdict, all of 400 at once;
- corrected: reviewers miss 20 % of defects, 40 planted ones say so.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from curation_app.statistics.acceptance import acceptance_plan
from curation_app.statistics.prediction_powered import PoweredEstimate, prediction_powered
from curation_app.statistics.proportions import Interval
from curation_app.statistics.reliability import Detection, corrected_rate
from curation_app.statistics.sequential import confidence_sequence
from curation_app.statistics.stratified import (
    StratumCount,
    allocate,
    stratified_estimate,
    weighted_estimate,
)

NUM_ROWS = 15_000
RATES = (0.01, 0.05, 0.30)
PLANS = ((0.01, 0.05, None), (0.02, 0.05, None), (0.05, 0.10, None), (0.02, 0.06, 1_000))
SENSITIVITY = 0.8
NUM_PLANTED = 40

#: One audit: the interval it reports, and the interval's like at other times if it has any.
_Audit = Callable[[np.random.Generator], list[Interval]]


@dataclass(frozen=True, slots=True)
class Version:
    """A made-up version: each row's defect, stratum and cluster; shape (N,) each."""

    defect_N: np.ndarray
    strata_N: np.ndarray
    clusters_N: np.ndarray

    @property
    def rate(self) -> float:
        return float(self.defect_N.mean())


def make_version(
    rate: float, *, num_strata: int = 1, is_clustered: bool = False, seed: int = 0
) -> Version:
    """A version with exactly the rate; strata and clusters of unequal size and rate."""
    generator = np.random.default_rng([seed, num_strata, is_clustered])
    share_H = 1 / np.arange(1, num_strata + 1)
    strata_N = np.sort(generator.choice(num_strata, NUM_ROWS, p=share_H / share_H.sum()))
    strata_N[:num_strata] = np.arange(num_strata)
    risk_H = generator.gamma(1.0, size=num_strata)
    num_clusters = NUM_ROWS // 5
    clusters_N = generator.integers(num_clusters, size=NUM_ROWS)
    risk_C = generator.gamma(0.3, size=num_clusters)
    risk_N = risk_C[clusters_N] if is_clustered else risk_H[strata_N]
    key_N = np.log(generator.random(NUM_ROWS)) / np.maximum(risk_N, 1e-12)
    defect_N = np.zeros(NUM_ROWS)
    defect_N[np.argsort(key_N)[-round(rate * NUM_ROWS) :]] = 1
    return Version(defect_N, strata_N, clusters_N)


def simple(version: Version, num: int) -> _Audit:
    def audit(generator: np.random.Generator) -> list[Interval]:
        chosen = generator.choice(NUM_ROWS, num, replace=False)
        found = int(version.defect_N[chosen].sum())
        return [stratified_estimate([StratumCount("all", NUM_ROWS, num, found)]).interval]

    return audit


def stratified(version: Version, num: int, floor: int) -> _Audit:
    size_H = np.bincount(version.strata_N)
    num_H = np.array(allocate(size_H.tolist(), num, floor=floor))
    start_H = np.concatenate([[0], np.cumsum(size_H)])
    order_N = np.argsort(version.strata_N, kind="stable")

    def audit(generator: np.random.Generator) -> list[Interval]:
        counts = []
        for stratum, (size, drawn) in enumerate(zip(size_H, num_H, strict=True)):
            inside = generator.choice(size, drawn, replace=False) + start_H[stratum]
            found = version.defect_N[order_N[inside]].sum()
            counts.append(StratumCount(str(stratum), int(size), int(drawn), float(found)))
        return [stratified_estimate(counts).interval]

    return audit


def whole_clusters(version: Version, num_clusters: int) -> _Audit:
    total = int(version.clusters_N.max()) + 1
    prob = num_clusters / total

    def audit(generator: np.random.Generator) -> list[Interval]:
        drawn = np.isin(version.clusters_N, generator.choice(total, num_clusters, replace=False))
        clusters = version.clusters_N[drawn]
        prob_N = np.full(len(clusters), prob)
        return [weighted_estimate(version.defect_N[drawn], prob_N, clusters_N=clusters).interval]

    return audit


def unequal(version: Version, num: int) -> _Audit:
    weight_N = np.random.default_rng(5).uniform(0.1, 1.0, NUM_ROWS)
    prob_N = np.minimum(num * weight_N / weight_N.sum(), 1.0)

    def audit(generator: np.random.Generator) -> list[Interval]:
        drawn = generator.random(NUM_ROWS) < prob_N
        return [weighted_estimate(version.defect_N[drawn], prob_N[drawn]).interval]

    return audit


def any_time(version: Version, num: int) -> _Audit:
    def audit(generator: np.random.Generator) -> list[Interval]:
        chosen = generator.choice(NUM_ROWS, num, replace=False)
        return confidence_sequence(version.defect_N[chosen], population=NUM_ROWS)

    return audit


def corrected(version: Version, num: int) -> _Audit:
    def audit(generator: np.random.Generator) -> list[Interval]:
        chosen = generator.choice(NUM_ROWS, num, replace=False)
        seen = version.defect_N[chosen] * (generator.random(num) < SENSITIVITY)
        found = Detection(int(generator.binomial(NUM_PLANTED, SENSITIVITY)), NUM_PLANTED)
        counts = [StratumCount("all", NUM_ROWS, num, float(seen.sum()))]
        estimate = corrected_rate(stratified_estimate(counts), found)
        return [Interval(0.0, 1.0) if estimate is None else estimate.interval]

    return audit


def designs(rate: float) -> dict[str, tuple[Version, _Audit]]:
    """Every design on a version of the rate."""
    plain = make_version(rate)
    languages, strata = make_version(rate, num_strata=92), make_version(rate, num_strata=12)
    clustered = make_version(rate, is_clustered=True)
    return {
        "simple, 100": (plain, simple(plain, 100)),
        "simple, 300": (plain, simple(plain, 300)),
        "languages, 600": (languages, stratified(languages, 600, 2)),
        "floor of 20, 400": (strata, stratified(strata, 400, 20)),
        "clustered rows, 300": (clustered, simple(clustered, 300)),
        "whole clusters, 100": (clustered, whole_clusters(clustered, 100)),
        "unequal, 300": (plain, unequal(plain, 300)),
        "any time, 400": (plain, any_time(plain, 400)),
        "corrected, 300": (plain, corrected(plain, 300)),
    }


def coverage_table(num_audits: int) -> Table:
    table = Table("design", "true rate", "held, %", "half width, points", title="95 % intervals")
    for rate in RATES:
        for name, (version, audit) in designs(rate).items():
            generator = np.random.default_rng([int(rate * 1_000), len(name)])
            held, widths = 0, []
            for _ in range(num_audits):
                intervals = audit(generator)
                held += all(interval.contains(version.rate) for interval in intervals)
                widths.append(intervals[-1].half_width)
            width = 100 * float(np.mean(widths))
            table.add_row(name, f"{rate:.0%}", f"{100 * held / num_audits:.1f}", f"{width:.2f}")
        table.add_section()
    return table


def acceptance_table(num_audits: int) -> Table:
    columns = ("plan", "items, defects", "good lots rejected, %", "bad lots accepted, %")
    table = Table(*columns, title="Acceptance plans, promise: at most 5 % and 10 %")
    generator = np.random.default_rng(11)
    for good, bad, population in PLANS:
        plan = acceptance_plan(good, bad, population=population)
        lot = population or NUM_ROWS
        errors = []
        for rate, is_good in ((good, True), (bad, False)):
            defects = int(np.ceil(rate * lot - 1e-9))
            found = generator.hypergeometric(defects, lot - defects, plan.num, num_audits * 20)
            accepted = found <= plan.max_defects
            errors.append(100 * float(np.mean(~accepted if is_good else accepted)))
        size = "large lot" if population is None else f"lot of {population:,}"
        table.add_row(
            f"{good:.0%} against {bad:.0%}, {size}",
            f"{plan.num}, {plan.max_defects}",
            f"{errors[0]:.1f}",
            f"{errors[1]:.1f}",
        )
    return table


def powered_table(num_audits: int) -> Table:
    columns = ("score", "true rate", "held, %", "width to classical", "widest")
    table = Table(*columns, title="Prediction-powered estimate, 400 verdicts in 4 strata")
    for rate in RATES:
        for name, slope in (("useless", 0.0), ("useful", 2.0), ("very useful", 5.0)):
            version = make_version(rate, num_strata=4)
            generator = np.random.default_rng([3, int(slope), int(rate * 100)])
            score_M = slope * version.defect_N + generator.normal(size=NUM_ROWS)
            found = [
                _powered(version, np.clip(np.round(score_M), -2, 8), 400, generator)
                for _ in range(num_audits)
            ]
            held = np.mean([one.estimate.interval.contains(version.rate) for one in found])
            ratios = [one.width_ratio for one in found]
            table.add_row(
                name, f"{rate:.0%}", f"{100 * held:.1f}", f"{np.mean(ratios):.3f}",
                f"{np.max(ratios):.3f}",
            )  # fmt: skip
        table.add_section()
    return table


def _powered(
    version: Version, score_M: np.ndarray, num: int, generator: np.random.Generator
) -> PoweredEstimate:
    chosen = np.concatenate(
        [
            generator.choice(members, drawn, replace=False)
            for members, drawn in zip(
                (np.flatnonzero(version.strata_N == stratum) for stratum in range(4)),
                allocate(np.bincount(version.strata_N).tolist(), num, floor=20),
                strict=True,
            )
        ]
    )
    return prediction_powered(
        version.defect_N[chosen],
        score_M[chosen],
        score_M,
        strata_N=version.strata_N[chosen],
        strata_M=version.strata_N,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-audits", type=int, default=500, help="audits per line")
    options = parser.parse_args()
    console = Console(width=100)
    start = time.perf_counter()
    console.print(describe_machine())
    console.print(f"{options.num_audits} audits per line, {NUM_ROWS:,} rows a version")
    for table in (coverage_table, acceptance_table, powered_table):
        console.print(table(options.num_audits))
    console.print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
