"""The trainable part above a frozen tower: one linear layer."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, normalize

# B items, F tower features, D embedding


class ByteDropout(nn.Module):
    """Dropout drawn as random bytes: on a CPU a quarter of the time that torch's takes.

    Follows the global random state as torch's does.

    Args:
        p: Share of the features that is dropped, rounded to 1/256.
    """

    _BYTES_PER_DRAW = 7  # of an int64 from 0 to 2^63 - 1; the eighth has a constant bit

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, features_BF: Tensor) -> Tensor:
        threshold = min(255, round(self.p * 256))
        if not self.training or threshold == 0:
            return features_BF
        if features_BF.device.type != "cpu":
            return dropout(features_BF, self.p)
        count = features_BF.numel()
        draws = torch.empty(-(-count // self._BYTES_PER_DRAW), dtype=torch.int64).random_()
        octets = draws.view(torch.uint8).view(-1, 8)[:, : self._BYTES_PER_DRAW]
        kept_BF = octets.reshape(-1)[:count].view(features_BF.shape) >= threshold
        return (features_BF * kept_BF).mul_(256 / (256 - threshold))


class Head(nn.Module):
    """Standardises tower features, drops some, and maps them linearly to a unit vector.

    A hidden layer was tried: it learns the training concepts by heart and
    finds fewer held-out ones.
    """

    mean_F: Tensor
    scale_F: Tensor
    is_fitted: Tensor

    def __init__(self, feature_dim: int, embedding_dim: int, dropout_share: float):
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(feature_dim))
        self.register_buffer("scale_F", torch.ones(feature_dim))
        self.register_buffer("is_fitted", torch.tensor(False))
        self.dropout = ByteDropout(dropout_share)
        self.linear = nn.Linear(feature_dim, embedding_dim)

    def fit_scale(self, features_BF: Tensor) -> None:
        """Takes mean and scale from training features; constant features keep scale 1."""
        self.mean_F.copy_(features_BF.mean(0))
        scale_F = features_BF.std(0, correction=0)
        self.scale_F.copy_(torch.where(scale_F > 1e-6, scale_F, torch.ones_like(scale_F)))
        self.is_fitted.fill_(True)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Embeddings of shape (B, D), L2-normalised."""
        standard_BF = (features_BF - self.mean_F).div_(self.scale_F)
        return normalize(self.linear(self.dropout(standard_BF)), dim=-1)


class UnitHead(nn.Module):
    """No head: what towers of one space give, L2-normalised."""

    is_fitted = True

    def forward(self, features_BF: Tensor) -> Tensor:
        """Embeddings of shape (B, F)."""
        return normalize(features_BF, dim=-1)
