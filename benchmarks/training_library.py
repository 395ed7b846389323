"""A way to train that is compared: its copy of one model with one LoRA, and its settings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from benchmarks.training_models import Shape
from trainer.config import LoraSettings
from trainer.encoders.lora import linear_layers

TEMPERATURE = 0.02
LORA = LoraSettings(rank=8, alpha=64.0)
_LEARNING_RATE = 1e-5
_LORA_SEED = 7


@dataclass(frozen=True)
class Model:
    """What all libraries load.

    Args:
        directory: As `save_model` wrote it.
        dtype: Of the frozen weights.
        device: Where steps are taken.
    """

    shape: Shape
    directory: Path
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Arm:
    """One library in one setting.

    Args:
        setting: As its users would write it.
        kind: Whether every item is embedded once, or in chunks with a second pass (GradCache).
        backward: Adds the gradients of the batch; returns the loss.
    """

    library: "Library"
    setting: str
    kind: str
    backward: Callable[[], float]


class Library(ABC):
    """A way to train, with its own copy of the model, waiting on the CPU between its turns.

    Args:
        network: Has the LoRA in it.
        has_dora: Whether that is DoRA, whose gradients are others.
    """

    name: ClassVar[str]

    def __init__(self, model: Model, network: nn.Module, *, has_dora: bool = False) -> None:
        self.model = model
        self.has_dora = has_dora
        self.network = network
        self.lora = _named_lora(network, model.shape.language_model)
        _fill_lora(self.lora)
        self._optimizer: torch.optim.Optimizer | None = None

    @abstractmethod
    def arms(self) -> list[Arm]:
        """Its settings."""

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Within it, the model is where steps are taken."""
        device = self.model.device
        self.network.to(device)
        self.network.train()
        try:
            yield
        finally:
            if device.type != "cpu":
                self.drop_gradients()
                self._optimizer = None
                self.network.to("cpu")
                torch.cuda.empty_cache()

    def step(self, arm: Arm) -> float:
        """One step of training."""
        if self._optimizer is None:
            parameters = list(self.lora.values())
            self._optimizer = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, fused=True)
        loss = arm.backward()
        nn.utils.clip_grad_norm_(self.lora.values(), 1.0)
        self._optimizer.step()
        self.drop_gradients()
        return loss

    def gradients(self, arm: Arm) -> dict[str, Tensor]:
        """Gradients of the LoRA weights, by names that all libraries share."""
        arm.backward()
        found = {
            name: weight.grad.detach().float().cpu()
            for name, weight in self.lora.items()
            if weight.grad is not None
        }
        self.drop_gradients()
        return found

    def drop_gradients(self) -> None:
        for weight in self.network.parameters():
            weight.grad = None


def add_lora(network: nn.Module, language_model: str, *, dora: bool) -> None:
    targets = linear_layers(network, language_model)
    inject_adapter_in_model(lora_config(targets, dora=dora), network, "default")
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def lora_config(targets: list[str], *, dora: bool) -> LoraConfig:
    return LoraConfig(
        r=LORA.rank,
        lora_alpha=int(LORA.alpha),
        lora_dropout=0.0,
        use_dora=dora,
        target_modules=targets,
        task_type="FEATURE_EXTRACTION",
    )


def _named_lora(network: nn.Module, language_model: str) -> dict[str, nn.Parameter]:
    """Trained weights, named from the language model on."""
    return {
        name[name.index(f"{language_model}.") :]: weight
        for name, weight in sorted(network.named_parameters())
        if weight.requires_grad
    }


@torch.no_grad()
def _fill_lora(lora: Mapping[str, nn.Parameter]) -> None:
    """The same random weights everywhere; B too, or A would have no gradient."""
    generator = torch.Generator().manual_seed(_LORA_SEED)
    for name in sorted(lora):
        if ".lora_A." in name or ".lora_B." in name:
            weight = lora[name]
            drawn = torch.randn(weight.shape, generator=generator)
            std = weight.shape[1] ** -0.5 if ".lora_A." in name else 0.01
            weight.copy_(drawn * std)
