"""The loss of a batch: what counts as positive, and what is masked."""

import math

import torch
from torch import Tensor

from trainer.config import LossConfig
from trainer.data.batching import Batch
from trainer.loss import matryoshka_loss, too_similar_mask

_MAX_LENGTH_ERROR = 0.1

# Q queries, N candidates, A items of all ranks, D embedding


def batch_loss(
    embedding_AD: Tensor,
    batch: Batch,
    temperature: Tensor,
    config: LossConfig,
) -> Tensor:
    """The loss of a whole batch, NaN where an embedding does not have length 1.

    Args:
        embedding_AD: Of the batch's items: queries, then candidates.
        batch: Says which of them match.
        temperature: Divides the cosine similarities.
        config: With every default filled in.
    """
    num_queries = len(batch.queries)
    query_QD, candidate_ND = embedding_AD[:num_queries], embedding_AD[num_queries:]
    positive_QN = batch.positive_QN.to(query_QD.device)
    masked_QN = batch.masked_QN.to(query_QD.device)
    if config.negative_rule != "none":
        masked_QN = masked_QN | too_similar_mask(
            query_QD, candidate_ND, positive_QN, config.negative_rule, config.negative_bound
        )
    assert config.reverse_weight is not None
    loss = matryoshka_loss(
        query_QD,
        candidate_ND,
        temperature,
        masked_QN,
        positive_BN=positive_QN,
        reverse_weight=config.reverse_weight,
        dims=config.matryoshka_dims,
    )
    # Weights beyond float32 give embeddings of length 0, whose loss is finite.
    is_unit = ((embedding_AD.detach().norm(dim=1) - 1).abs() < _MAX_LENGTH_ERROR).all()
    return torch.where(is_unit, loss, math.nan)
