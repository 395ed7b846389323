"""Ranks and recall@k, ties counted against the model."""

import numpy as np
from numpy.typing import NDArray

# Q queries, N candidates


def ranks(scores_QN: NDArray[np.float32], correct_QN: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rank of each query's best correct candidate, from 1.

    A wrong candidate that scores the same stands before it, so that constant
    scores give no recall. Other correct candidates do not push it down.

    Raises:
        ValueError: The shapes differ, or a query has no correct candidate.
    """
    if scores_QN.shape != correct_QN.shape:
        raise ValueError(f"correct_QN must have shape {scores_QN.shape}; got {correct_QN.shape}.")
    if not correct_QN.any(axis=1).all():
        raise ValueError("every query needs a correct candidate among the candidates.")
    best_Q = np.where(correct_QN, scores_QN, -np.inf).max(axis=1)
    wrong_ahead_QN = ~correct_QN & ~(scores_QN < best_Q[:, None])
    return 1 + wrong_ahead_QN.sum(axis=1)


def recall_at_k(ranks_Q: NDArray[np.int64], k: int) -> float:
    """Share of queries whose best correct candidate is among the first k."""
    return float((ranks_Q <= k).mean())


def mean_reciprocal_rank(ranks_Q: NDArray[np.int64]) -> float:
    """Mean of 1 / rank."""
    return float((1 / ranks_Q).mean())
