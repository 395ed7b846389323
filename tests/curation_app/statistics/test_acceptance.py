"""Acceptance plans: published values, risks within the promise, decisions that never change."""

import numpy as np
import pytest

from curation_app.statistics.acceptance import (
    AcceptancePlan,
    acceptance_plan,
    acceptance_probability,
)


@pytest.mark.parametrize(
    ("good", "bad", "num", "max_defects"),
    [(0.01, 0.05, 132, 3), (0.02, 0.05, 306, 10), (0.05, 0.10, 233, 17)],
)
def test_plans_of_large_lots_are_the_known_ones(
    good: float, bad: float, num: int, max_defects: int
) -> None:
    plan = acceptance_plan(good, bad)
    assert (plan.num, plan.max_defects) == (num, max_defects)


@pytest.mark.parametrize("population", [None, 300, 1_000, 15_000])
def test_both_risks_are_within_the_promise(population: int | None) -> None:
    plan = acceptance_plan(0.02, 0.06, population=population)
    assert plan.producer_risk <= 0.05 and plan.consumer_risk <= 0.10
    accepted = acceptance_probability(plan.num, plan.max_defects, 0.02, population)
    assert accepted == pytest.approx(1 - plan.producer_risk)


def test_a_finite_lot_needs_fewer_items_as_simulation_confirms() -> None:
    plan = acceptance_plan(0.02, 0.06, population=1_000)
    assert plan.num < acceptance_plan(0.02, 0.06).num
    found = np.random.default_rng(1).hypergeometric(60, 940, plan.num, 40_000)
    share = np.mean(found <= plan.max_defects)
    assert share == pytest.approx(plan.consumer_risk, abs=0.006)


def test_a_decision_that_is_made_early_is_the_one_at_the_end() -> None:
    plan = AcceptancePlan(20, 2, 0.05, 0.1)
    generator = np.random.default_rng(0)
    for _ in range(200):
        defects = np.cumsum(generator.random(20) < 0.12)
        decisions = [plan.decide(seen + 1, int(found)) for seen, found in enumerate(defects)]
        last = decisions[-1]
        assert last in ("accept", "reject")
        assert set(decisions) <= {"go on", last}


def test_rates_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="further apart"):
        acceptance_plan(0.015, 0.02, population=50)  # one defect either way
    with pytest.raises(ValueError, match="good_rate < bad_rate"):
        acceptance_plan(0.05, 0.05)
