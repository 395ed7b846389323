"""Dual encoders made of tiny models, and items for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tests.trainer.tiny_duals import save_tiny_model
from trainer.config import ModelConfig
from trainer.data.items import Item
from trainer.encoders.dual import DualEncoder
from trainer.encoders.feature_cache import FeatureCache
from trainer.encoders.hub_dual import make_hub_dual_encoder

CLIPS = ("clip", "siglip", "siglip2", "metaclip_2", "altclip", "chinese_clip")
PAIRS = ("bert+dinov2", "bert+vit", "xlm-roberta+siglip_vision_model")
TEXTS = ("a red bicycle", "ein rotes Fahrrad lehnt an einer Mauer")
ITEMS = (Item(text=TEXTS[0]), Item(image="1"), Item(text=TEXTS[1]), Item(image="2"))


class Pictures:
    """Noise, by its number."""

    def picture(self, sha256: str) -> Image.Image:
        noise = np.random.default_rng(int(sha256)).integers(0, 255, (50, 70, 3), dtype=np.uint8)
        return Image.fromarray(noise)


def save_models(root: Path) -> Path:
    """Writes every tiny model to a directory of its type."""
    for name in sorted({*CLIPS, *"+".join(PAIRS).split("+"), "resnet"}):
        save_tiny_model(name, root / name)
    return root


def config_of(models: Path, name: str, **changes: Any) -> ModelConfig:
    path = "+".join(str(models / side) for side in name.split("+"))
    settings = {"name": path, "embedding_dim": 16, "head_dropout": 0.0, "lora": {"rank": 2}}
    return ModelConfig.model_validate(settings | changes)


def make(models: Path, name: str, cache: FeatureCache | None = None, **changes: Any) -> DualEncoder:
    encoder = make_hub_dual_encoder(config_of(models, name, **changes), seed=1, cache=cache)
    assert isinstance(encoder, DualEncoder)
    return encoder


@torch.no_grad()
def embed(encoder: Any, items: Sequence[Item] = ITEMS) -> Tensor:
    """Vectors in evaluation mode, shape (B, D)."""
    encoder.eval()
    return encoder([encoder.prepare(item, Pictures()) for item in items])


def move(encoder: DualEncoder) -> None:
    """As training would: every trained weight away from its start."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(5)
        for each in encoder.parameters():
            if each.requires_grad:
                each.add_(torch.randn_like(each), alpha=0.05)
