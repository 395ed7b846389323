"""InfoNCE over in-batch and hard negatives, and the mask of false negatives."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

# B queries, N candidates, D embedding


def info_nce(
    query_BD: Tensor, candidate_ND: Tensor, temperature: float, masked_BN: Tensor | None = None
) -> Tensor:
    """InfoNCE over in-batch and hard negatives.

    Candidate i is the positive of query i; every other candidate is a
    negative, so positives come first and hard negatives follow. Queries may
    have any number of hard negatives.

    Args:
        query_BD: L2-normalised embeddings, shape (B, D).
        candidate_ND: L2-normalised embeddings, shape (N, D) with N >= B.
        temperature: Positive; divides the cosine similarities.
        masked_BN: True where a candidate is no negative of a query; a query's
            own positive counts whatever the mask says.

    Returns:
        Mean loss in nats, a scalar.

    Raises:
        ValueError: If N < B, the embedding sizes or the mask's shape differ,
            or the temperature is not positive.

    Source: van den Oord et al. 2018, arXiv:1807.03748.
    """
    num_queries, dim = query_BD.shape
    if candidate_ND.shape[0] < num_queries or candidate_ND.shape[1] != dim:
        raise ValueError(
            f"candidate_ND must have shape (N, {dim}) with N >= {num_queries}; "
            f"got {tuple(candidate_ND.shape)}."
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive; got {temperature}.")
    logits_BN = query_BD @ candidate_ND.T / temperature
    own_B = torch.arange(num_queries, device=query_BD.device)
    if masked_BN is not None:
        if masked_BN.shape != logits_BN.shape:
            raise ValueError(
                f"masked_BN must have shape {tuple(logits_BN.shape)}; got {tuple(masked_BN.shape)}."
            )
        masked_BN = masked_BN.clone()
        masked_BN[own_B, own_B] = False
        logits_BN = logits_BN.masked_fill(masked_BN, float("-inf"))
    return cross_entropy(logits_BN, own_B)


def two_way_info_nce(
    query_BD: Tensor,
    candidate_ND: Tensor,
    temperature: float,
    masked_BN: Tensor | None = None,
    *,
    reverse_weight: float,
) -> Tensor:
    """InfoNCE from query to candidates, blended with positive to queries.

    The reverse direction has in-batch negatives only: hard negatives have no
    query. `reverse_weight` 0 is plain `info_nce`, 0.5 the symmetric loss.
    """
    forward = info_nce(query_BD, candidate_ND, temperature, masked_BN)
    if reverse_weight == 0:
        return forward
    num_queries = query_BD.shape[0]
    masked_BB = None if masked_BN is None else masked_BN[:, :num_queries].T
    reverse = info_nce(candidate_ND[:num_queries], query_BD, temperature, masked_BB)
    return (1 - reverse_weight) * forward + reverse_weight * reverse


def false_negative_mask(keys: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """True where a candidate would be a false negative: some key of it equals the query's.

    Args:
        keys: Per kind of key (positive's item, group, query text) the wanted
            key of each query, shape (B,), and the key of each candidate, shape (N,).

    Returns:
        Mask of shape (B, N); a query's own positive is masked too, and
        `info_nce` takes it back.
    """
    assert keys, "a mask needs at least one kind of key"
    masks = [wanted_B[:, None] == found_N[None, :] for wanted_B, found_N in keys]
    return torch.stack(masks).any(dim=0)
