"""Towers without pretrained weights: hashed character n-grams, and a plain image descriptor."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.encoders.picture import read_picture
from trainer.encoders.tower import Towers

# B items, F features


class NgramTextTower:
    """Character n-grams hashed into signed buckets, then square root and length 1."""

    name = "ngram-1-4-4096"
    dim = 4096
    batch_size = 256
    is_slow = False

    def features(self, items: Sequence[str]) -> NDArray[np.float32]:
        features_BF = np.zeros((len(items), self.dim), dtype=np.float32)
        for row, text in enumerate(items):
            for ngram in _ngrams(text.casefold()):
                hashed = zlib.crc32(ngram.encode())
                features_BF[row, hashed % self.dim] += 1 if hashed & 0x80000000 else -1
        features_BF = np.sign(features_BF) * np.sqrt(np.abs(features_BF))
        norms_B1 = np.linalg.norm(features_BF, axis=1, keepdims=True)
        return features_BF / np.maximum(norms_B1, 1e-9)


def _ngrams(text: str) -> list[str]:
    padded = f" {text} "
    return [padded[i : i + n] for n in range(1, 5) for i in range(len(padded) - n + 1)]


class DescriptorImageTower:
    """A 16 x 16 thumbnail and an 8 x 8 grid of edge orientations (HOG, simplified)."""

    name = "thumbnail16-edges8"
    dim = 16 * 16 * 3 + 8 * 8 * 8
    batch_size = 64
    is_slow = False

    def features(self, items: Sequence[bytes]) -> NDArray[np.float32]:
        return np.stack([self._describe(data) for data in items])

    def _describe(self, data: bytes) -> NDArray[np.float32]:
        pixels = read_picture(data, 64)
        thumbnail = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3)).ravel()
        down, right = np.gradient(pixels.mean(axis=2))
        strength = np.hypot(down, right)
        orientation = ((np.arctan2(down, right) % np.pi) / np.pi * 8).astype(int) % 8
        cell = np.arange(64) // 8
        bins = (cell[:, None] * 8 + cell[None, :]) * 8 + orientation
        edges = np.bincount(bins.ravel(), weights=strength.ravel(), minlength=8 * 8 * 8)
        edges = np.sqrt(edges / max(float(edges.sum()), 1e-9))
        return np.concatenate([thumbnail, edges]).astype(np.float32)


def make_ngram_towers() -> Towers:
    """Both towers; they need nothing but numpy and Pillow."""
    return Towers(
        kind="ngram",
        note="Hashed character n-grams and a plain image descriptor: nothing here is pretrained.",
        text=NgramTextTower(),
        image=DescriptorImageTower(),
    )
