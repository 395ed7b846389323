"""Towers of any network that transformers has: texts pooled over tokens, images over patches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from PIL import Image
from torch import Tensor, nn

from trainer.portable.image_pixels import ImagePixels, Pixels
from trainer.portable.networks import (
    build_network,
    in_chunks,
    num_positions,
    plain_config,
    read_network,
)
from trainer.portable.pooling import EmbeddingHead, PoolingMode
from trainer.portable.text_tokens import TextTokens
from trainer.portable.tower import Tower, as_picture

# B items, L tokens or patches, H hidden, F features

_NUM_ON_ACCELERATOR = 512
_DEFAULT_PATCH = 16


class HubTextTower(Tower):
    """Token states of a text network, pooled as the model was trained to.

    Args:
        network: Gives `last_hidden_state`.
        tokens: Its tokenizer.
        head: Pooling, and what a model of sentence-transformers has after it.
    """

    modality: ClassVar[Literal["text", "image"]] = "text"
    is_trainable: ClassVar[bool] = True

    def __init__(self, network: Any, tokens: TextTokens, head: EmbeddingHead) -> None:
        super().__init__()
        self.network = network
        self.tokens = tokens
        self.head = head
        self.dim = head.embedding_dim

    def prepare(self, item: str) -> list[int]:
        return self.tokens(item)

    def num_tokens(self, prepared: list[int]) -> int:
        return len(prepared)

    def forward(self, batch: Sequence[list[int]]) -> Tensor:
        device = device_of(self)
        parts: list[Tensor] = []
        numbers: list[int] = []
        for chunk in in_chunks([len(ids) for ids in batch], num_at_once(self, device)):
            inputs = self.tokens.inputs([batch[number] for number in chunk], device)
            states_BLH = self.network(**inputs).last_hidden_state
            parts.append(self.head(states_BLH, inputs["attention_mask"]).float())
            numbers += chunk
        return rows_in_order(parts, numbers)

    def settings(self) -> dict[str, Any]:
        return {
            "config": plain_config(self.network.config),
            "max_tokens": self.tokens.max_tokens,
            "prefix": self.tokens.prefix,
            "head": self.head.settings(),
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "HubTextTower":
        tokens = TextTokens.read(
            directory, max_tokens=settings["max_tokens"], prefix=settings["prefix"]
        )
        head = EmbeddingHead.from_settings(settings["head"])
        return cls(build_network(settings["config"]), tokens, head)

    @classmethod
    def read(
        cls, directory: Path, head: EmbeddingHead | PoolingMode, *, max_tokens: int, prefix: str
    ) -> "HubTextTower":
        """The tower of a model's directory.

        Args:
            directory: As transformers saves a model with its tokenizer.
            head: Pooling and what follows it, or how to pool.
            max_tokens: As many as the network has positions for at most.

        Raises:
            ValueError: The directory is not a complete text model.
            OSError: Files are missing.
        """
        network = read_network(directory)
        _check_reads(network, "input_ids", "text")
        bound = min(max_tokens, num_positions(network) or max_tokens)
        tokens = TextTokens.read(directory, max_tokens=bound, prefix=prefix)
        hidden_size: int = network.config.hidden_size
        if not isinstance(head, EmbeddingHead):
            head = EmbeddingHead(hidden_size, head)
        if head.hidden_size != hidden_size:
            raise ValueError(f"it pools {head.hidden_size} values a token; it has {hidden_size}")
        return cls(network, tokens, head)

    def language_model(self) -> tuple[nn.Module, str]:
        return self.network, ""

    def save_files(self, directory: Path) -> None:
        self.tokens.save(directory)

    def fingerprint(self) -> str:
        return f"{super().fingerprint()}-{self.tokens.digest()}"


class HubImageTower(Tower):
    """What an image network knows of a picture.

    Networks with a class token give its last state and the mean over patches;
    others give what they pool themselves, or the mean where they do not.

    Args:
        network: Gives `last_hidden_state`, and maybe `pooler_output`.
        pixels: Its image processor.
        dim: Of the features; None finds it out.
    """

    modality: ClassVar[Literal["text", "image"]] = "image"
    is_trainable: ClassVar[bool] = True

    def __init__(self, network: Any, pixels: ImagePixels, dim: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.pixels = pixels
        self._num_prefix_tokens = _num_prefix_tokens(network)
        self.dim = self._measured_dim() if dim is None else dim

    @torch.no_grad()
    def _measured_dim(self) -> int:
        return self([self.pixels(Image.new("RGB", (64, 64), "grey"))]).shape[1]

    def prepare(self, item: Image.Image) -> Pixels:
        return self.pixels(as_picture(item))

    def num_tokens(self, prepared: Pixels) -> int:
        return self.pixels.num_tokens(prepared)

    def forward(self, batch: Sequence[Pixels]) -> Tensor:
        device = device_of(self)
        parts: list[Tensor] = []
        numbers: list[int] = []
        for chunk, inputs in self.pixels.batches(batch, num_at_once(self, device), device):
            parts.append(self._features(inputs))
            numbers += chunk
        return rows_in_order(parts, numbers)

    def _features(self, inputs: dict[str, Tensor]) -> Tensor:
        output = self.network(**inputs)
        states = output.last_hidden_state.float()
        pooled = getattr(output, "pooler_output", None)
        if states.ndim == 4:  # channels before height and width
            return (states.mean((2, 3)) if pooled is None else pooled.float()).flatten(1)
        if self._num_prefix_tokens:
            first_BH = states[:, 0] if pooled is None else pooled.float()
            return torch.cat([first_BH, states[:, self._num_prefix_tokens :].mean(1)], dim=1)
        return states.mean(1) if pooled is None else pooled.float()

    def settings(self) -> dict[str, Any]:
        return {
            "config": plain_config(self.network.config),
            "dim": self.dim,
            "pixels": self.pixels.settings(),
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "HubImageTower":
        network = build_network(settings["config"])
        return cls(network, ImagePixels(directory, patch_size(network.config)), settings["dim"])

    @classmethod
    def read(cls, directory: Path) -> "HubImageTower":
        """The tower of a model's directory.

        Raises:
            ValueError: The directory is not a complete image model.
            OSError: Files are missing.
        """
        network = read_network(directory)
        _check_reads(network, "pixel_values", "image")
        return cls(network, ImagePixels(directory, patch_size(network.config)))

    def language_model(self) -> tuple[nn.Module, str]:
        return self.network, ""

    def save_files(self, directory: Path) -> None:
        self.pixels.save(directory)


def patch_size(config: Any) -> int:
    """Side of a network's patches in pixels; 16 for networks without."""
    found = getattr(config, "patch_size", None)
    found = found[0] if isinstance(found, list | tuple) and found else found
    return found if isinstance(found, int) and found > 0 else _DEFAULT_PATCH


def device_of(tower: Tower) -> torch.device:
    """Where the tower's weights are."""
    return next(tower.parameters()).device


def num_at_once(tower: Tower, device: torch.device) -> int:
    """Items of one call of the network."""
    return tower.batch_size if device.type == "cpu" else _NUM_ON_ACCELERATOR


def rows_in_order(parts: Sequence[Tensor], numbers: Sequence[int]) -> Tensor:
    """Rows of all parts, that of item 0 first."""
    rows_BF = torch.cat([*parts])
    return rows_BF[torch.tensor(numbers).argsort().to(rows_BF.device)]


def _check_reads(network: Any, input_name: str, modality: str) -> None:
    config = network.config
    has_both = hasattr(config, "vision_config") and hasattr(config, "text_config")
    if has_both or network.main_input_name != input_name:
        raise ValueError(f'a model of type "{config.model_type}" is no {modality} tower')


def _num_prefix_tokens(network: torch.nn.Module) -> int:
    """Class, distillation and register tokens before the patches; 0 without class token."""
    numbers = {
        name.rpartition(".")[2]: parameter.shape[-2] if parameter.ndim > 1 else 1
        for name, parameter in network.named_parameters()
        if name.endswith(("cls_token", "class_embedding", "distillation_token", "register_tokens"))
    }
    has_class_token = bool(numbers.keys() & {"cls_token", "class_embedding"})
    return sum(numbers.values()) if has_class_token else 0
