"""Agreement against published examples; the paradox that one figure alone hides."""

import numpy as np
import pytest

from curation_app.statistics.agreement import (
    agreement,
    gwet_ac1,
    krippendorff_alpha,
    raw_agreement,
)


def test_alpha_is_that_of_krippendorffs_own_example() -> None:
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", B: binary data, two
    # observers, ten units; alpha 0.095.
    first = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    second = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    ones = np.array(first) + np.array(second)
    assert krippendorff_alpha(np.stack([2 - ones, ones], 1)) == pytest.approx(0.095, abs=5e-4)


def test_ac1_is_that_of_gwets_formula_by_hand() -> None:
    # Two raters, 125 items: both yes 118, split 5 and 2, both no 0.
    votes = np.array([[0, 2]] * 118 + [[1, 1]] * 7)
    agree, share = 118 / 125, (2 * 118 + 7) / 250
    by_chance = 2 * share * (1 - share)
    assert raw_agreement(votes) == pytest.approx(agree)
    assert gwet_ac1(votes) == pytest.approx((agree - by_chance) / (1 - by_chance))


def test_rare_defects_pull_alpha_down_while_ac1_and_raw_stay() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random(20_000) < 0.05
    ones = sum(np.where(generator.random(20_000) < 0.95, truth, ~truth) for _ in range(3))
    found = agreement(np.stack([3 - ones, ones], 1), num_resamples=20)
    assert found is not None and found.alpha is not None
    assert found.alpha < 0.5 and found.raw > 0.89 and found.ac1 > 0.87


def test_intervals_hold_the_figures_and_repeat_with_the_seed() -> None:
    generator = np.random.default_rng(3)
    ones = generator.binomial(2, 0.2, size=80)
    votes = np.stack([2 - ones, ones], 1)
    found = agreement(votes, seed=5)
    assert found == agreement(votes, seed=5) and found is not None
    assert found.raw_interval.contains(found.raw) and found.ac1_interval.contains(found.ac1)


def test_items_with_one_vote_do_not_count_and_no_pair_is_no_agreement() -> None:
    assert agreement(np.array([[1, 0], [0, 1]])) is None
    found = agreement(np.array([[2, 0], [1, 0]]))
    assert found is not None and found.num_items == 1 and found.alpha is None and found.raw == 1
    with pytest.raises(ValueError, match="counts"):
        agreement(np.array([1, 2]))
