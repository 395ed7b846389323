"""What every model is to the trainer: items in, L2-normalised embeddings out."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from trainer.config import TrainingDefaults
from trainer.data.items import Item, ItemModality

# B items, D embedding


class Pictures(Protocol):
    """Decoded pictures by the sha256 of their bytes: upright RGB, transparency on white."""

    def picture(self, sha256: str) -> Image.Image: ...


class Prepared(Protocol):
    """An item ready for the model: token ids, pixels, or rows of features.

    `num_tokens` is what it costs in a batch (image tokens included);
    `image` names its picture, so that one is not computed twice a step.
    """

    @property
    def num_tokens(self) -> int: ...
    @property
    def image(self) -> str | None: ...


class Encoder(nn.Module, ABC):
    """One model. Its trainable parameters are those with `requires_grad`.

    `prepare` does what needs no gradient and no accelerator, and may be called
    from several threads; `forward` embeds prepared items, on whatever device
    the parameters are.
    """

    #: Which items it takes; rows with others are split or left out, and counted.
    takes: ClassVar[Collection[ItemModality]]

    #: What suits it where the user has not decided.
    defaults: TrainingDefaults = TrainingDefaults()

    #: One sentence: which weights, what is trained.
    note: str
    embedding_dim: int

    @abstractmethod
    def prepare(self, item: Item, pictures: Pictures) -> Prepared:
        """Token ids and pixels of one item; text is truncated, image tokens never are."""

    @abstractmethod
    def forward(self, batch: Sequence[Any]) -> Tensor:
        """L2-normalised embeddings of prepared items, shape (B, D), in their order, float32."""

    def precompute(self, items: Collection[Item], pictures: Pictures) -> None:
        """Computes what frozen towers give for these items, once, before the first step."""

    def images_once(self, batch: Sequence[Any]) -> AbstractContextManager[None]:
        """Within it, a frozen vision tower runs once for each distinct image of these items."""
        return nullcontext()

    def restart(self, seed: int) -> bool:
        """Takes the first weights of another seed where that is quicker than making it anew.

        Returns:
            Whether it did: it is then as `make_encoder` makes it for this seed, and what frozen
            towers gave is kept.
        """
        return False

    def settings(self) -> dict[str, Any]:
        """What its embeddings depend on beside weights and `ModelConfig`, as plain JSON values."""
        return {}

    def fingerprint(self) -> str:
        """Equal for encoders that start alike: a hash of settings and of sums of the weights.

        A model that was trained on, or a recipe that reads other layers, has another one.
        """
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for name, tensor in self.state_dict().items():
            total = tensor.sum(dtype=torch.float64).item()
            size = tensor.norm(dtype=torch.float64).item() if tensor.is_floating_point() else 0.0
            digest.update(f"{name} {tuple(tensor.shape)} {total:.6f} {size:.6f}\n".encode())
        return digest.hexdigest()[:24]

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Writes weights, tokenizer and settings as `SentenceTransformer(directory)` reads them.

        Whole, and without a format of polyscene's own. The card is written elsewhere.
        """
