"""A run stopped early has asked for everything in proportion, and prefixes and images repeat."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from builder.config import BuildConfig
from builder.plan import Plan, plan_round, targets_of
from builder.plan.order import num_stripes, sending_order, stripe_of

CONFIG = BuildConfig(
    num_samples=2_000,
    languages="mme5",
    images={"embedder": "descriptor"},  # type: ignore[arg-type]
)


@pytest.fixture(scope="module")
def plan(store):
    return plan_round(CONFIG, store, 0, {})


def large_plan(num_jobs: int, num_images: int):
    """Cells, languages and first images in the shares of the paper's own plan."""
    targets = targets_of(BuildConfig(num_samples=num_jobs, languages="mme5"))
    wanted = targets.wanted_CL
    num_cells, num_languages = wanted.shape
    cell = np.repeat(np.arange(num_cells, dtype=np.int8), wanted.sum(axis=1))
    languages = np.tile(np.arange(num_languages, dtype=np.int16), num_cells)
    language = np.repeat(languages, wanted.reshape(-1))
    anchor = np.random.default_rng(0).permutation(np.arange(num_jobs) % num_images)
    return cell, language, anchor.astype(np.int32)


def keys_of(plan: Plan) -> list[tuple[int, str]]:
    return [(plan.cells.index(job.cell), job.images[0]) for job in plan.jobs()]


def test_the_first_400_of_2000_jobs_hold_every_cell_and_language_in_proportion(plan):
    jobs = list(plan.jobs())[:400]
    cells = Counter(job.cell for job in jobs)
    assert set(cells) == set(plan.cells)
    wanted = targets_of(CONFIG)
    for cell, count in zip(wanted.cells, wanted.wanted_CL.sum(axis=1), strict=True):
        assert cells[cell] == pytest.approx(count / 5, rel=0.25)
    languages = Counter(job.language for job in jobs)
    assert languages["en"] == pytest.approx(0.431 * 400, rel=0.1)
    assert len(languages) > 60


def test_every_stripe_of_a_large_plan_is_the_plan_in_small():
    cell, language, anchor = large_plan(200_000, 5_000)
    stripe = stripe_of(cell, language, anchor, key=1)
    number = num_stripes(len(cell))
    assert number == 100
    sizes = np.bincount(stripe, minlength=number)
    assert sizes.min() > 1_900
    assert sizes.max() < 2_100
    for slot in ((0, 0), (2, 22), (9, 92)):
        mine = (cell == slot[0]) & (language == slot[1])
        in_each = np.bincount(stripe[mine], minlength=number)
        assert abs(in_each - mine.sum() / number).max() <= 1


def test_inside_a_stripe_cells_and_images_stand_together(plan):
    keys = keys_of(plan)
    descents = sum(a > b for a, b in pairwise(keys))
    assert descents == num_stripes(len(plan)) - 1


def test_uses_of_an_image_fall_into_few_stripes():
    cell, language, anchor = large_plan(200_000, 1_000)
    stripe = stripe_of(cell, language, anchor, key=1)
    shuffled = np.random.default_rng(1).permutation(stripe)

    def num_places(stripe):
        return len(np.unique(np.stack([stripe, anchor]), axis=1).T)

    assert num_places(stripe) < 0.5 * num_places(shuffled)


def test_the_order_is_a_permutation_decided_by_its_key():
    cell, language, anchor = large_plan(5_000, 300)
    order = sending_order(cell, language, anchor, key=1)
    assert sorted(order.tolist()) == list(range(5_000))
    assert (order == sending_order(cell, language, anchor, key=1)).all()
    assert (order != sending_order(cell, language, anchor, key=2)).any()


@pytest.mark.parametrize(
    ("num_jobs", "stripes"), [(0, 0), (1, 1), (60, 2), (500, 10), (20_000, 10), (560_000, 280)]
)
def test_stripes_are_small_in_small_plans(num_jobs, stripes):
    assert num_stripes(num_jobs) == stripes
