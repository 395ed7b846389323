"""Ranks of the right documents among the candidates; ties count against the model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Q queries, N candidates, D embedding, R right candidates of one query

#: Scores this near are a tie: float32 products of equal vectors differ by less than this,
#: depending on their position in the matrix.
TIE = 1e-6
#: Depth of nDCG, as BEIR and MTEB report it.
NDCG_DEPTH = 10
_SCORES_PER_BLOCK = 16_000_000
#: To these k is lowered where there are few candidates.
_LOWER_K = (1, 2, 3, 5, 10, 20, 50, 100)
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Ranking:
    """Places of the right candidates of every query.

    Args:
        best_Q: Place of the best right candidate, from 1. One more than there are
            candidates where no right one has a finite score.
        ndcg_Q: nDCG@10 with every right candidate of equal gain.
        num_right_Q: Right candidates among those that count.
        num_wrong_Q: Wrong candidates that count; a query with fewer than k cannot miss.
    """

    best_Q: NDArray[np.int64]
    ndcg_Q: NDArray[np.float64]
    num_right_Q: NDArray[np.int64]
    num_wrong_Q: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.best_Q)


def ranks(
    scores_QN: NDArray[np.float32],
    correct_QN: NDArray[np.bool_],
    ignored_QN: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Rank of each query's best correct candidate, from 1.

    A wrong candidate that scores the same ranks before it, so that constant
    scores give no recall, and so does one whose score is not a number. Other
    correct candidates do not push it down, ignored ones do not count.

    Raises:
        ValueError: The shapes differ, or a query has no correct candidate.
    """
    if scores_QN.shape != correct_QN.shape:
        raise ValueError(f"correct_QN must have shape {scores_QN.shape}; got {correct_QN.shape}.")
    right = [np.flatnonzero(correct_N) for correct_N in correct_QN]
    ignored = None if ignored_QN is None else [np.flatnonzero(row_N) for row_N in ignored_QN]
    return _rank(iter(scores_QN), right, ignored).best_Q


def rank_corpus(
    query_QD: NDArray[np.float32],
    document_ND: NDArray[np.float32],
    right: Sequence[NDArray[np.int64]],
    ignored: Sequence[NDArray[np.int64]] | None = None,
) -> Ranking:
    """Ranks one corpus of documents for every query, in blocks that fit into memory.

        ranking = rank_corpus(query_QD, document_ND, right=[np.array([3]), np.array([0, 7])])
        recall_at_k(ranking.best_Q, 10), ranking.ndcg_Q.mean()

    Args:
        query_QD: L2-normalised, shape (Q, D).
        document_ND: L2-normalised, shape (N, D).
        right: Rows of `document_ND` that answer each query; at least one each.
        ignored: Rows that count neither way, such as other known matches; one that is right
            stays right.

    Raises:
        ValueError: A query has no right document.
    """
    return _rank(_blocks(query_QD, document_ND), right, ignored)


def rank_lists(
    query_QD: NDArray[np.float32],
    document_ND: NDArray[np.float32],
    candidates: Sequence[NDArray[np.int64]],
    right: Sequence[NDArray[np.int64]],
) -> Ranking:
    """Ranks a list of candidates of each query's own, as MMEB and XTD publish them.

    Args:
        query_QD: L2-normalised, shape (Q, D).
        document_ND: L2-normalised, shape (N, D); every document once.
        candidates: Rows of `document_ND` that each query chooses among, in any order. One
            listed several times counts as often as it is listed.
        right: Rows that answer each query. All of its copies in the list are right.

    Raises:
        ValueError: A query has no right document in its list.
    """
    scores = (
        document_ND[listed] @ query_D for query_D, listed in zip(query_QD, candidates, strict=True)
    )
    places = [
        np.flatnonzero(np.isin(listed, rows))
        for listed, rows in zip(candidates, right, strict=True)
    ]
    return _rank(scores, places, None)


def recall_at_k(ranks_Q: NDArray[np.int64], k: int) -> float:
    """Share of queries whose best correct candidate is among the first k; hit@1 for k = 1."""
    return float((ranks_Q <= k).mean())


def mean_reciprocal_rank(ranks_Q: NDArray[np.int64]) -> float:
    """Mean of 1 / rank."""
    return float((1 / ranks_Q).mean())


def chance_of_recall(ranking: Ranking, k: int) -> float:
    """Expected recall@k of a random order: 1 - C(wrong, k) / C(wrong + right, k), averaged."""
    wrong_Q = ranking.num_wrong_Q.astype(np.float64)
    missed_Q = np.ones(len(ranking))
    for place in range(k):
        left_Q = wrong_Q + ranking.num_right_Q - place
        missed_Q *= np.clip(wrong_Q - place, 0, None) / np.maximum(left_Q, 1)
    return float(1 - missed_Q.mean())


def choose_k(k: int, num_candidates: int) -> int | None:
    """The k to measure at: as asked, or lower so that chance stays at or below one half.

    None if no k is possible: fewer than two candidates.
    """
    if 2 * k <= num_candidates:
        return k
    return max((lower for lower in _LOWER_K if 2 * lower <= num_candidates), default=None)


def lower_k(ranking: Ranking, k: int) -> int:
    """The largest k up to the one asked for at which chance stays at or below one half.

    Unlike `choose_k` it knows how many candidates are right, and how many count
    for each query. 1 if no k is possible.
    """
    for lower in (k, *(each for each in reversed(_LOWER_K) if each < k)):
        if chance_of_recall(ranking, lower) <= 0.5 + _ROUNDING:
            return lower
    return 1


def lowered_notes(what: str, k: int, lowered: int, ranking: Ranking) -> list[str]:
    """A note on a k that had to be lowered; empty if it was not."""
    if lowered == k:
        return []
    num_right = float(np.mean(ranking.num_right_Q))
    num_candidates = float(np.mean(ranking.num_wrong_Q)) + num_right
    right = f", {num_right:.1f} of them right" if num_right > 1 else ""
    return [
        f"{what}: measured at k = {lowered} instead of {k}: only {num_candidates:.0f} candidates "
        f"per query{right}."
    ]


def _blocks(
    query_QD: NDArray[np.float32], document_ND: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """Scores of each query in turn, shape (N,)."""
    num_rows = max(1, _SCORES_PER_BLOCK // max(1, len(document_ND)))
    for start in range(0, len(query_QD), num_rows):
        yield from query_QD[start : start + num_rows] @ document_ND.T


def _rank(
    scores: Iterator[NDArray[np.float32]],
    right: Sequence[NDArray[np.int64]],
    ignored: Sequence[NDArray[np.int64]] | None,
) -> Ranking:
    """Places of the right candidates, a query at a time.

    Args:
        scores: Of every query's candidates.
        right: Positions of right candidates, by query.
        ignored: Positions that do not count, by query.
    """
    best: list[int] = []
    ndcg: list[float] = []
    num_wrong: list[int] = []
    for number, (scores_N, right_R) in enumerate(zip(scores, right, strict=True)):
        if not len(right_R):
            raise ValueError(f"query {number} has no correct candidate among the candidates.")
        counts_N = np.ones(len(scores_N), dtype=bool)
        if ignored is not None:
            counts_N[ignored[number]] = False
        counts_N[right_R] = False
        wrong_W = scores_N[counts_N]
        places = _places(scores_N[right_R], wrong_W)
        best.append(places[0])
        ndcg.append(_ndcg(places, len(right_R)))
        num_wrong.append(len(wrong_W))
    return Ranking(
        np.array(best, dtype=np.int64),
        np.array(ndcg, dtype=np.float64),
        np.array([len(right_R) for right_R in right], dtype=np.int64),
        np.array(num_wrong, dtype=np.int64),
    )


def _places(right_R: NDArray[np.float32], wrong_W: NDArray[np.float32]) -> list[int]:
    """Places of the best right candidates, from 1.

    Args:
        right_R: Scores of the right candidates; a score that is not finite is found nowhere.
        wrong_W: Scores of the wrong ones; one that is not a number comes first.
    """
    nowhere = len(right_R) + len(wrong_W) + 1
    finite = np.sort(right_R[np.isfinite(right_R)])[::-1][:NDCG_DEPTH]
    places = [
        number + int(np.count_nonzero(~(wrong_W < score - TIE)))
        for number, score in enumerate(finite.astype(np.float64), start=1)
    ]
    return places or [nowhere]


def _ndcg(places: Sequence[int], num_right: int) -> float:
    """nDCG@10 of right candidates at these places, each of gain 1.

    Source: Järvelin and Kekäläinen 2002, Cumulated gain-based evaluation.
    """
    gain = sum(1 / np.log2(1 + place) for place in places if place <= NDCG_DEPTH)
    ideal = sum(1 / np.log2(1 + place) for place in range(1, 1 + min(num_right, NDCG_DEPTH)))
    return float(gain / ideal)
