"""The compact dual encoder: a trainable head above each frozen tower, one embedding space."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

# B items, F tower features, D embedding


class Head(nn.Module):
    """Standardises tower features, drops some, and maps them linearly to a unit vector.

    A hidden layer was tried: it learns the training concepts by heart and
    finds fewer held-out ones.
    """

    mean_F: Tensor
    scale_F: Tensor

    def __init__(self, feature_dim: int, embedding_dim: int, dropout: float):
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(feature_dim))
        self.register_buffer("scale_F", torch.ones(feature_dim))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(feature_dim, embedding_dim)

    def fit_scale(self, features_BF: Tensor) -> None:
        """Takes mean and scale from training features; constant features keep scale 1."""
        self.mean_F.copy_(features_BF.mean(0))
        scale_F = features_BF.std(0, correction=0)
        self.scale_F.copy_(torch.where(scale_F > 1e-6, scale_F, torch.ones_like(scale_F)))

    def forward(self, features_BF: Tensor) -> Tensor:
        standard_BF = self.dropout((features_BF - self.mean_F) / self.scale_F)
        return normalize(self.linear(standard_BF), dim=-1)


class DualEncoder(nn.Module):
    """Text head and image head; both give L2-normalised embeddings of one size."""

    def __init__(
        self,
        text_dim: int,
        image_dim: int,
        *,
        embedding_dim: int,
        dropout: float,
        seed: int,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.text = Head(text_dim, embedding_dim, dropout)
            self.image = Head(image_dim, embedding_dim, dropout)
