"""InfoNCE over in-batch and hard negatives, with any number of positives per query."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

# B queries, N candidates, D embedding

NegativeRule = Literal["none", "ratio", "margin"]

#: What a rule compares with where none is given: NV-Retriever's share of the positive's score
#: (arXiv:2407.15831), Qwen3-Embedding's margin above it (arXiv:2506.05176).
NEGATIVE_BOUNDS: dict[NegativeRule, float] = {"none": 0.0, "ratio": 0.95, "margin": 0.1}


def info_nce(
    query_BD: Tensor,
    candidate_ND: Tensor,
    temperature: float | Tensor,
    masked_BN: Tensor | None = None,
    *,
    positive_BN: Tensor | None = None,
) -> Tensor:
    """InfoNCE over in-batch and hard negatives.

    Without `positive_BN`, candidate i is the positive of query i and every
    other candidate is a negative, so positives come first and hard negatives
    follow. With it, each positive of a query is set against the query's
    negatives alone, never against its other positives, and a query's loss is
    the mean over its positives; queries without one only serve as negatives
    of the other direction.

    Args:
        query_BD: L2-normalised embeddings, shape (B, D).
        candidate_ND: L2-normalised embeddings, shape (N, D).
        temperature: Positive; divides the cosine similarities.
        masked_BN: True where a candidate is not a negative of a query; a positive
            counts whatever the mask says.
        positive_BN: True where a candidate is a positive of a query.

    Returns:
        Mean loss in nats over the queries that have a positive, a scalar.

    Raises:
        ValueError: If N < B without `positive_BN`, no query has a positive, the
            shapes differ, or the temperature is not positive.

    Source: van den Oord et al. 2018, arXiv:1807.03748.
    """
    num_queries, dim = query_BD.shape
    num_candidates = candidate_ND.shape[0]
    if candidate_ND.shape[1] != dim or (positive_BN is None and num_candidates < num_queries):
        raise ValueError(
            f"candidate_ND must have shape (N, {dim}) with N >= {num_queries}; "
            f"got {tuple(candidate_ND.shape)}."
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive; got {float(temperature)}.")
    for name, matrix_BN in (("masked_BN", masked_BN), ("positive_BN", positive_BN)):
        if matrix_BN is not None and matrix_BN.shape != (num_queries, num_candidates):
            raise ValueError(
                f"{name} must have shape {(num_queries, num_candidates)}; "
                f"got {tuple(matrix_BN.shape)}."
            )
    if positive_BN is None:
        positive_BN = torch.eye(
            num_queries, num_candidates, dtype=torch.bool, device=query_BD.device
        )
    logits_BN = query_BD @ candidate_ND.T / temperature
    left_out_BN = positive_BN if masked_BN is None else positive_BN | masked_BN
    negatives_B1 = logits_BN.masked_fill(left_out_BN, -math.inf).logsumexp(1, keepdim=True)
    query_P, candidate_P = positive_BN.nonzero(as_tuple=True)
    if len(query_P) == 0:
        raise ValueError("positive_BN must name a positive for at least one query.")
    positive_P = logits_BN[query_P, candidate_P]
    loss_P = torch.logaddexp(positive_P, negatives_B1[query_P, 0]) - positive_P
    num_positives_B = positive_BN.sum(1)
    weight_P = 1 / num_positives_B[query_P].to(loss_P.dtype)
    return (loss_P * weight_P).sum() / (num_positives_B > 0).sum()


def two_way_info_nce(
    query_BD: Tensor,
    candidate_ND: Tensor,
    temperature: float | Tensor,
    masked_BN: Tensor | None = None,
    *,
    positive_BN: Tensor | None = None,
    reverse_weight: float,
) -> Tensor:
    """InfoNCE from query to candidates, blended with positive to queries.

    Without `positive_BN` the reverse direction has in-batch negatives only:
    hard negatives have no query. `reverse_weight` 0 is plain `info_nce`, 0.5
    the symmetric loss.
    """
    forward = info_nce(query_BD, candidate_ND, temperature, masked_BN, positive_BN=positive_BN)
    if reverse_weight == 0:
        return forward
    if positive_BN is None:
        num_queries = query_BD.shape[0]
        masked_BB = None if masked_BN is None else masked_BN[:, :num_queries].T
        reverse = info_nce(candidate_ND[:num_queries], query_BD, temperature, masked_BB)
    else:
        masked_NB = None if masked_BN is None else masked_BN.T
        reverse = info_nce(
            candidate_ND, query_BD, temperature, masked_NB, positive_BN=positive_BN.T
        )
    return (1 - reverse_weight) * forward + reverse_weight * reverse


def matryoshka_loss(
    query_BD: Tensor,
    candidate_ND: Tensor,
    temperature: float | Tensor,
    masked_BN: Tensor | None = None,
    *,
    positive_BN: Tensor | None = None,
    reverse_weight: float,
    dims: Sequence[int],
) -> Tensor:
    """Mean of the two-way loss over the whole embedding and over its first `dims` components.

    Shortened embeddings are normalised again.

    Source: Kusupati et al. 2022, arXiv:2205.13147.
    """
    full_dim = query_BD.shape[1]
    losses = [
        two_way_info_nce(
            query_BD if dim == full_dim else normalize(query_BD[:, :dim], dim=-1),
            candidate_ND if dim == full_dim else normalize(candidate_ND[:, :dim], dim=-1),
            temperature,
            masked_BN,
            positive_BN=positive_BN,
            reverse_weight=reverse_weight,
        )
        for dim in (full_dim, *dims)
    ]
    return torch.stack(losses).mean()


@torch.no_grad()
def too_similar_mask(
    query_BD: Tensor,
    candidate_ND: Tensor,
    positive_BN: Tensor,
    rule: NegativeRule,
    bound: float | None = None,
) -> Tensor:
    """True where a candidate scores so close to the query's best positive that it may be one.

    Args:
        query_BD: L2-normalised embeddings, shape (B, D).
        candidate_ND: L2-normalised embeddings, shape (N, D).
        positive_BN: True where a candidate is a positive of a query.
        rule: "ratio": cosine above `bound` x the positive's; "margin": above it plus `bound`.
        bound: None takes the published one, see `NEGATIVE_BOUNDS`.

    Returns:
        Mask of shape (B, N); positives are in it, and `info_nce` takes them back.
    """
    if rule == "none":
        return torch.zeros_like(positive_BN)
    bound = NEGATIVE_BOUNDS[rule] if bound is None else bound
    score_BN = query_BD @ candidate_ND.T
    best_B1 = score_BN.masked_fill(~positive_BN, -math.inf).amax(1, keepdim=True)
    if rule == "margin":
        return score_BN > best_B1 + bound
    # A share of a negative score would lie above it: nothing is masked there.
    return (score_BN > best_B1 * bound) & (best_B1 > 0)
