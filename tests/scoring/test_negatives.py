"""Hard negatives that fit their own group of pictures come out highest."""

import numpy as np
import pytest

from builder.scoring import negatives
from builder.scoring.negatives import negative_matches


def test_the_match_is_the_best_of_ones_own_group_less_the_best_of_any_other() -> None:
    """Worked by hand: two texts of one group and one of another, along the axes."""
    texts = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], np.float32)
    groups = np.array([0, 1, 0])
    negative = texts[[2, 1, 0]]
    found = negative_matches(negative, np.array([0, 0, 0]), texts, groups)
    # The other text of its own group; a text of another group; its own positive, left out.
    np.testing.assert_allclose(found, [1, -1, 0], atol=1e-6)


@pytest.mark.parametrize("rows_at_once", [1, 7, 10_000])
def test_matches_are_those_of_a_naive_loop(
    monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(negatives, "_ROWS_AT_ONCE", rows_at_once)
    rng = np.random.default_rng(0)
    text_TF, text_group_T = _unit(rng, 60), rng.integers(0, 7, 60)
    negative_NF, own_N = _unit(rng, 40), rng.integers(0, 60, 40)
    found = negative_matches(negative_NF, own_N, text_TF, text_group_T)
    for row, match in enumerate(found):
        cosine_T = text_TF @ negative_NF[row]
        is_own_T = text_group_T == text_group_T[own_N[row]]
        other = cosine_T[~is_own_T].max()
        is_own_T[own_N[row]] = False
        assert match == pytest.approx(cosine_T[is_own_T].max() - other, abs=1e-5)


def test_others_are_thinned_out_but_never_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "_MAX_OTHERS", 10)
    rng = np.random.default_rng(0)
    text_TF, text_group_T = _unit(rng, 200), np.repeat(np.arange(20), 10)
    own_N = np.arange(200)
    neighbour_N = np.where(own_N % 10 == 9, own_N - 1, own_N + 1)  # of the same group
    found = negative_matches(text_TF[neighbour_N], own_N, text_TF, text_group_T)
    assert (found > 0).all()


def _unit(rng: np.random.Generator, num: int) -> np.ndarray:
    vectors = rng.normal(size=(num, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
