"""There are thousands of ideas a cell, none comes twice too soon, and seeds are unique."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.config import BuildConfig
from builder.plan import plan_round
from builder.plan.mixing import key_of, shuffled, unique_seeds
from builder.plan.variations import load_variations, number_ideas
from schemas.vocabulary import CELLS


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_has_thousands_of_ideas_and_all_differ(cell):
    variations = load_variations()
    count = variations.num_ideas(cell)
    assert count >= 5000
    assert len({variations.idea(cell, number) for number in range(count)}) == count
    assert "\n" not in variations.idea(cell, count - 1)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**63))
@settings(deadline=None)
def test_no_idea_comes_twice_before_all_came_once(num_jobs, num_ideas, key):
    numbers = number_ideas(num_jobs, num_ideas, key)
    uses = np.bincount(numbers, minlength=num_ideas)
    assert len(uses) == num_ideas
    assert uses.max() - uses.min() <= 1


def test_neighbouring_jobs_have_different_goals_and_places():
    variations = load_variations()
    for cell in CELLS:
        ideas = [
            variations.idea(cell, int(number)).split("; ")
            for number in number_ideas(200, variations.num_ideas(cell), key_of(cell.name))
        ]
        pairs = list(pairwise(ideas))
        assert sum(a[0] != b[0] for a, b in pairs) > 150
        assert sum(a[1] != b[1] for a, b in pairs) > 150


def test_seeds_are_unique_over_rounds_and_change_with_the_key():
    rounds = [unique_seeds(number, 100_000, key_of("seed", 7)) for number in range(3)]
    together = np.concatenate(rounds)
    assert len(np.unique(together)) == 300_000
    assert together.min() >= 0
    assert together.max() < 2**48
    assert (unique_seeds(0, 100, key_of("seed", 8)) != rounds[0][:100]).any()


def test_shuffling_is_a_permutation_decided_by_its_key():
    assert sorted(shuffled(1000, 5)) == list(range(1000))
    assert (shuffled(1000, 5) == shuffled(1000, 5)).all()
    assert (shuffled(1000, 5) != shuffled(1000, 6)).any()


def test_a_job_has_only_the_variations_of_its_cell(store):
    config = BuildConfig(num_samples=200, languages="uniform")
    for job in plan_round(config, store, 0, {}).jobs():
        assert bool(job.length) == job.cell.query_has_text
        assert bool(job.text_register) == (job.cell.modality != "I->I")
