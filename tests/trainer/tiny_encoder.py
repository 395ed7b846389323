"""A small real encoder of text, image and both: characters and thumbnails through two layers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from trainer.config import TrainingDefaults
from trainer.data.items import Item
from trainer.encoders.encoder import Encoder, Pictures

_NUM_CHARACTERS = 512
_SIDE = 8


@dataclass(frozen=True)
class Tiny:
    """A prepared item: hashed characters and a thumbnail."""

    characters: Tensor
    pixels: Tensor
    image: str | None

    @property
    def num_tokens(self) -> int:
        return max(1, len(self.characters))


class TinyEncoder(Encoder):
    """Takes every item; `num_image_passes` counts how many thumbnails went through."""

    takes: Collection = ("T", "I", "IT")
    defaults = TrainingDefaults(
        num_steps=20,
        num_epochs=None,
        batch_size=16,
        learning_rate=1e-2,
        temperature=0.1,
        reverse_weight=0.0,
    )

    def __init__(self, seed: int = 0, dropout: float = 0.0, embedding_dim: int = 16) -> None:
        super().__init__()
        self.note = "A small encoder of characters and thumbnails."
        self.embedding_dim = embedding_dim
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.text = nn.EmbeddingBag(_NUM_CHARACTERS, 32, mode="mean")
            self.pixels = nn.Linear(_SIDE * _SIDE * 3, 32)
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(32, embedding_dim)

    def prepare(self, item: Item, pictures: Pictures) -> Tiny:
        text = f"{item.instruction or ''} {item.text or ''}"
        characters = torch.tensor([ord(each) % _NUM_CHARACTERS for each in text])
        pixels = torch.zeros(_SIDE * _SIDE * 3)
        if item.image is not None:
            small = pictures.picture(item.image).resize((_SIDE, _SIDE))
            pixels = torch.from_numpy(np.asarray(small, dtype=np.float32).ravel() / 255)
        return Tiny(characters, pixels, item.image)

    def forward(self, batch: Sequence[Tiny]) -> Tensor:
        offsets = torch.tensor([0, *(len(each.characters) for each in batch[:-1])]).cumsum(0)
        text = self.text(torch.cat([each.characters for each in batch]), offsets)
        pixels = self.pixels(torch.stack([each.pixels for each in batch]))
        return normalize(self.head(self.dropout(torch.tanh(text + pixels))), dim=-1)

    def save(self, directory: Path) -> None:
        torch.save(self.state_dict(), directory / "tiny.pt")
