"""Towers without weights: hashed character n-grams, and a plain image descriptor."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from trainer.portable.efficientnet import fit_square
from trainer.portable.tower import Tower, as_picture

# B items, F features

#: A longer text is cut: its n-grams would cost memory and tell nothing new.
_MAX_CHARACTERS = 4096


class NgramTextTower(Tower):
    """Character n-grams hashed into signed buckets, then square root and length 1."""

    modality: ClassVar[Literal["text", "image"]] = "text"
    is_slow: ClassVar[bool] = False

    def __init__(self, dim: int = 4096) -> None:
        super().__init__()
        self.dim = dim

    def prepare(self, item: str) -> Tensor:
        """Counts of shape (F,)."""
        counts_F = np.zeros(self.dim, dtype=np.float32)
        for ngram in _ngrams(item[:_MAX_CHARACTERS].casefold()):
            hashed = zlib.crc32(ngram.encode("utf-8", "replace"))
            counts_F[hashed % self.dim] += 1 if hashed & 0x80000000 else -1
        return torch.from_numpy(counts_F)

    def num_tokens(self, prepared: Tensor) -> int:
        return 1

    def forward(self, batch: Sequence[Tensor]) -> Tensor:
        counts_BF = torch.stack([*batch])
        return normalize(counts_BF.sign() * counts_BF.abs().sqrt(), dim=-1, eps=1e-9)

    def settings(self) -> dict[str, Any]:
        return {"dim": self.dim}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "NgramTextTower":
        return cls(settings["dim"])


def _ngrams(text: str) -> list[str]:
    padded = f" {text} "
    return [padded[i : i + n] for n in range(1, 5) for i in range(len(padded) - n + 1)]


class DescriptorImageTower(Tower):
    """A 16 x 16 thumbnail and an 8 x 8 grid of edge orientations (HOG, simplified)."""

    modality: ClassVar[Literal["text", "image"]] = "image"
    is_slow: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.dim = 16 * 16 * 3 + 8 * 8 * 8

    def prepare(self, item: Image.Image) -> Tensor:
        """The descriptor, shape (F,)."""
        pixels = fit_square(as_picture(item), 64).astype(np.float32) / np.float32(255)
        thumbnail = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3)).ravel()
        down, right = np.gradient(pixels.mean(axis=2))
        strength = np.hypot(down, right)
        orientation = ((np.arctan2(down, right) % np.pi) / np.pi * 8).astype(int) % 8
        cell = np.arange(64) // 8
        bins = (cell[:, None] * 8 + cell[None, :]) * 8 + orientation
        edges = np.bincount(bins.ravel(), weights=strength.ravel(), minlength=8 * 8 * 8)
        edges = np.sqrt(edges / max(float(edges.sum()), 1e-9))
        return torch.from_numpy(np.concatenate([thumbnail, edges]).astype(np.float32))

    def num_tokens(self, prepared: Tensor) -> int:
        return 1

    def forward(self, batch: Sequence[Tensor]) -> Tensor:
        return torch.stack([*batch])

    def settings(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "DescriptorImageTower":
        return cls()
