import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.ranking import mean_reciprocal_rank, ranks, recall_at_k


def _naive_rank(scores: list[int], correct: list[bool]) -> int:
    best = max(score for score, right in zip(scores, correct, strict=True) if right)
    return 1 + sum(score >= best for score, right in zip(scores, correct, strict=True) if not right)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=9).filter(
        lambda row: any(right for _, right in row)
    )
)
def test_ranks_equal_a_naive_reference(row: list[tuple[int, bool]]) -> None:
    scores, correct = [score for score, _ in row], [right for _, right in row]
    found = ranks(np.array([scores], dtype=np.float32), np.array([correct]))
    assert found.tolist() == [_naive_rank(scores, correct)]


def test_constant_scores_give_no_recall() -> None:
    found = ranks(np.zeros((4, 20), np.float32), np.eye(4, 20, dtype=bool))
    assert recall_at_k(found, 10) == 0.0


def test_scores_that_are_not_numbers_give_no_recall() -> None:
    found = ranks(np.full((2, 12), np.nan, np.float32), np.eye(2, 12, dtype=bool))
    assert recall_at_k(found, 10) == 0.0


def test_another_right_candidate_does_not_push_the_best_one_down() -> None:
    scores = np.array([[0.9, 0.8, 0.7]], np.float32)
    assert ranks(scores, np.array([[True, True, False]])).tolist() == [1]


def test_recall_and_reciprocal_rank_of_known_ranks() -> None:
    found = np.array([1, 2, 4, 11])
    assert recall_at_k(found, 10) == 0.75
    assert mean_reciprocal_rank(found) == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 11) / 4)


def test_a_query_without_a_right_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a correct candidate"):
        ranks(np.zeros((1, 3), np.float32), np.zeros((1, 3), bool))
