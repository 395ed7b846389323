"""The trainable part above a frozen tower: one linear layer."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

# B items, F tower features, D embedding


#: Groups of neighbouring rows that drop the same features each: draws for every row were no
#: better (recall@10 of concepts left out of the demo's training split: 0.371 both), and take as
#: long as the product with the weights.
_NUM_DRAWS = 8


class Head(nn.Module):
    """Standardises tower features, drops some, and maps them linearly to a unit vector.

    A hidden layer was tried: it learns the training concepts by heart and
    finds fewer held-out ones.

    Args:
        dropout: Share of the features that is dropped in training.
    """

    mean_F: Tensor
    scale_F: Tensor
    is_fitted: Tensor

    def __init__(self, feature_dim: int, embedding_dim: int, dropout: float):
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(feature_dim))
        self.register_buffer("scale_F", torch.ones(feature_dim))
        self.register_buffer("is_fitted", torch.tensor(False))
        self.dropout = dropout
        self.linear = nn.Linear(feature_dim, embedding_dim)

    def fit_scale(self, features_BF: Tensor) -> None:
        """Takes mean and scale from training features; constant features keep scale 1."""
        self.mean_F.copy_(features_BF.mean(0))
        scale_F = features_BF.std(0, correction=0)
        self.scale_F.copy_(torch.where(scale_F > 1e-6, scale_F, torch.ones_like(scale_F)))
        self.is_fitted.fill_(True)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Embeddings of shape (B, D), L2-normalised."""
        standard_BF = features_BF - self.mean_F
        if self.training and self.dropout > 0:
            draws = torch.rand((_NUM_DRAWS, len(self.mean_F)), device=standard_BF.device)
            factors = (draws >= self.dropout) / (self.scale_F * (1 - self.dropout))
            parts = zip(standard_BF.chunk(_NUM_DRAWS), factors, strict=False)
            standard_BF = torch.cat([part_BF * factor_F for part_BF, factor_F in parts])
        else:
            standard_BF = standard_BF.div_(self.scale_F)
        return normalize(self.linear(standard_BF), dim=-1)


class UnitHead(nn.Module):
    """No head: what towers of one space give, L2-normalised."""

    is_fitted = True

    def forward(self, features_BF: Tensor) -> Tensor:
        """Embeddings of shape (B, F)."""
        return normalize(features_BF, dim=-1)
