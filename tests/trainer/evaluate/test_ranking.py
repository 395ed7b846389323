from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluate.ranking import (
    Ranking,
    chance_of_recall,
    choose_k,
    lower_k,
    mean_reciprocal_rank,
    rank_corpus,
    rank_lists,
    ranks,
    recall_at_k,
)

SCORES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["right", "wrong", "ignored"])),
    min_size=1,
    max_size=14,
).filter(lambda row: any(kind == "right" for _, kind in row))


def _naive_place(score: int, row: Sequence[tuple[int, str]], num_better_right: int) -> int:
    wrong = [other for other, kind in row if kind == "wrong" and other >= score]
    return 1 + num_better_right + len(wrong)


def _naive(row: Sequence[tuple[int, str]]) -> tuple[int, float]:
    """Place of the best right candidate and nDCG@10, by definition."""
    right = sorted((score for score, kind in row if kind == "right"), reverse=True)
    places = [_naive_place(score, row, number) for number, score in enumerate(right)]
    gain = sum(1 / np.log2(1 + place) for place in places if place <= 10)
    ideal = sum(1 / np.log2(2 + number) for number in range(min(10, len(right))))
    return places[0], gain / ideal


def _is(row: Sequence[tuple[int, str]], kind: str) -> np.ndarray:
    return np.array([each == kind for _, each in row])


@given(SCORES)
def test_places_and_ndcg_equal_a_naive_reference(row: list[tuple[int, str]]) -> None:
    documents = np.array([[score] for score, _ in row], dtype=np.float32)
    right, ignored = np.flatnonzero(_is(row, "right")), np.flatnonzero(_is(row, "ignored"))
    found = rank_corpus(np.ones((1, 1), np.float32), documents, [right], [ignored])
    place, ndcg = _naive(row)
    assert found.best_Q.tolist() == [place]
    assert found.ndcg_Q[0] == pytest.approx(ndcg)
    assert found.num_right_Q.tolist() == [_is(row, "right").sum()]
    assert found.num_wrong_Q.tolist() == [_is(row, "wrong").sum()]
    scores = documents.T
    matrix = ranks(scores, _is(row, "right")[None], _is(row, "ignored")[None])
    assert matrix.tolist() == [place]


@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 2**31))
def test_a_corpus_and_each_querys_own_list_of_it_rank_alike(
    num_documents: int, num_queries: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    query_QD = generator.integers(-2, 3, (num_queries, 3)).astype(np.float32)
    document_ND = generator.integers(-2, 3, (num_documents, 3)).astype(np.float32)
    right = [generator.choice(num_documents, 1) for _ in range(num_queries)]
    listed = [generator.permutation(num_documents) for _ in range(num_queries)]
    corpus = rank_corpus(query_QD, document_ND, right)
    lists = rank_lists(query_QD, document_ND, listed, right)
    assert corpus.best_Q.tolist() == lists.best_Q.tolist()
    assert corpus.ndcg_Q == pytest.approx(lists.ndcg_Q)


def test_an_equal_document_elsewhere_in_a_large_product_is_a_tie() -> None:
    generator = np.random.default_rng(0)
    document_ND = generator.normal(size=(500, 384)).astype(np.float32)
    document_ND /= np.linalg.norm(document_ND, axis=1, keepdims=True)
    document_ND[77] = document_ND[499]
    found = rank_corpus(document_ND[[499]], document_ND, [np.array([499])])
    assert found.best_Q.tolist() == [2]


def test_constant_scores_give_no_recall() -> None:
    found = ranks(np.zeros((4, 20), np.float32), np.eye(4, 20, dtype=bool))
    assert recall_at_k(found, 19) == 0.0


def test_a_right_candidate_whose_score_is_not_a_number_is_found_nowhere() -> None:
    found = ranks(np.full((2, 12), np.nan, np.float32), np.eye(2, 12, dtype=bool))
    assert found.tolist() == [13, 13]
    assert recall_at_k(found, 12) == 0.0
    scores = np.array([[np.inf, 0.0, 0.0]], np.float32)
    assert ranks(scores, np.array([[True, False, False]])).tolist() == [4]


def test_a_wrong_candidate_whose_score_is_not_a_number_stands_first() -> None:
    scores = np.array([[0.9, np.nan, 0.1]], np.float32)
    assert ranks(scores, np.array([[True, False, False]])).tolist() == [2]


def test_another_right_candidate_does_not_push_the_best_one_down() -> None:
    scores = np.array([[0.9, 0.8, 0.7]], np.float32)
    assert ranks(scores, np.array([[True, True, False]])).tolist() == [1]
    assert ranks(scores, np.array([[False, True, True]])).tolist() == [2]


def test_copies_of_the_right_document_in_a_list_are_right() -> None:
    documents = np.eye(3, dtype=np.float32)
    listed = [np.array([1, 0, 0, 2])]
    found = rank_lists(documents[[0]], documents, listed, [np.array([0])])
    assert (found.best_Q[0], found.num_right_Q[0], found.num_wrong_Q[0]) == (1, 2, 2)


def test_recall_and_reciprocal_rank_of_known_ranks() -> None:
    found = np.array([1, 2, 4, 11])
    assert recall_at_k(found, 10) == 0.75
    assert mean_reciprocal_rank(found) == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 11) / 4)


def test_a_query_without_a_right_candidate_is_refused() -> None:
    scores, none = np.zeros((1, 3), np.float32), np.array([], np.int64)
    with pytest.raises(ValueError, match="query 0 has no correct candidate"):
        ranks(scores, np.zeros((1, 3), bool))
    with pytest.raises(ValueError, match="query 0 has no correct candidate"):
        rank_corpus(scores, np.zeros((4, 3), np.float32), [none])
    with pytest.raises(ValueError, match="query 0 has no correct candidate"):
        rank_lists(scores, np.zeros((4, 3), np.float32), [np.arange(2)], [np.array([3])])


def _counts(num_right: int, num_wrong: int) -> Ranking:
    one = np.ones(1, dtype=np.int64)
    return Ranking(one, one.astype(float), one * num_right, one * num_wrong)


@pytest.mark.parametrize(("num_right", "num_wrong", "k"), [(1, 299, 10), (3, 7, 2), (2, 1, 2)])
def test_chance_is_what_random_orders_give(num_right: int, num_wrong: int, k: int) -> None:
    generator = np.random.default_rng(0)
    total = num_right + num_wrong
    hits = [(generator.permutation(total)[:k] < num_right).any() for _ in range(20_000)]
    chance = chance_of_recall(_counts(num_right, num_wrong), k)
    assert chance == pytest.approx(np.mean(hits), abs=0.012)


@given(st.integers(1, 200), st.integers(0, 500))
def test_k_is_lowered_until_chance_is_at_most_one_half(k: int, num_candidates: int) -> None:
    lowered = choose_k(k, num_candidates)
    if num_candidates < 2:
        assert lowered is None
        return
    assert lowered is not None and 1 <= lowered <= k
    assert chance_of_recall(_counts(1, num_candidates - 1), lowered) <= 0.5 + 1e-9
    if 2 * k <= num_candidates:
        assert lowered == k


@given(st.integers(1, 100), st.integers(1, 30), st.integers(1, 60))
def test_several_right_answers_lower_k_further(k: int, num_right: int, num_wrong: int) -> None:
    ranking = _counts(num_right, num_wrong)
    lowered = lower_k(ranking, k)
    assert 1 <= lowered <= k
    assert lowered == 1 or chance_of_recall(ranking, lowered) <= 0.5 + 1e-9
    if chance_of_recall(ranking, k) <= 0.5:
        assert lowered == k
