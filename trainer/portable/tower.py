"""What a tower is: it turns texts, or pictures, into features."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from PIL import Image
from torch import Tensor, nn

# B items, F features


class Tower(nn.Module, ABC):
    """Features of items of one modality.

    `prepare` needs no gradient and no accelerator and may run in several
    threads; `forward` takes what it returns. `settings` and the weights say
    everything that the features depend on.
    """

    modality: ClassVar[Literal["text", "image"]]
    #: Whether features are worth keeping on disk.
    is_slow: ClassVar[bool] = True
    #: Whether an image tower may be trained beside the text tower; text towers always may.
    is_trainable: ClassVar[bool] = False
    #: Items that one call handles best on a CPU.
    batch_size: ClassVar[int] = 32
    dim: int
    #: How its weights are written; None as they are.
    saved_dtype: torch.dtype | None = None

    @abstractmethod
    def prepare(self, item: Any) -> Any:
        """One text, or one upright RGB picture, as token ids, pixels or finished features."""

    @abstractmethod
    def num_tokens(self, prepared: Any) -> int:
        """What a prepared item costs in a batch."""

    @abstractmethod
    def forward(self, batch: Sequence[Any]) -> Tensor:
        """Features of prepared items, in their order, shape (B, F), float32."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What `from_settings` needs to build this tower again, as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "Tower":
        """The tower with random weights; its other files lie in `directory`."""

    def language_model(self) -> tuple[nn.Module, str]:
        """The network and, within it, the attribute of the layers that LoRA goes on.

        Raises:
            TypeError: There is no network to train.
        """
        raise TypeError(f"{type(self).__name__} has no layers for LoRA.")

    def save_files(self, directory: Path) -> None:
        """Writes what is neither a setting nor a weight, such as a tokenizer."""

    def fingerprint(self) -> str:
        """Equal for towers whose features are equal: a hash of settings and weights."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy())
        return f"{type(self).__name__}-{digest.hexdigest()[:24]}"


def as_picture(item: Any) -> Image.Image:
    """The item as a picture.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(item, Image.Image):
        raise TypeError(f"expected a PIL image; got {type(item).__name__}.")
    return item
