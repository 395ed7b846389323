"""What is optimised and how fast: parameter groups, the temperature, the learning rate."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from trainer.config import TrainConfig
from trainer.encoders.encoder import Encoder

_MIN_TEMPERATURE = 1e-3


class Temperature(nn.Module):
    """The temperature of InfoNCE: fixed, or trained as its logarithm."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        assert config.loss.temperature is not None
        self.log = nn.Parameter(
            torch.tensor(math.log(config.loss.temperature)),
            requires_grad=config.loss.learn_temperature,
        )

    def forward(self) -> Tensor:
        return self.log.exp().clamp(min=_MIN_TEMPERATURE)


def parameter_groups(
    encoder: Encoder, temperature: Temperature, config: TrainConfig
) -> list[dict[str, Any]]:
    """Weights with decay; biases, norms and the temperature without."""
    trainable = [each for each in encoder.parameters() if each.requires_grad]
    matrices = [each for each in trainable if each.ndim >= 2]
    others = [each for each in trainable if each.ndim < 2]
    others += [each for each in temperature.parameters() if each.requires_grad]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def learning_rate_share(step: int, num_steps: int, warmup_share: float) -> float:
    """Linear warm-up, then a half cosine down to zero."""
    num_warmup = max(1, round(num_steps * warmup_share))
    if step < num_warmup:
        return (step + 1) / num_warmup
    done = (step - num_warmup) / max(1, num_steps - num_warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
