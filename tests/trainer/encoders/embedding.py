"""Pictures and short ways to make vision-language encoders, for their tests."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from trainer.config import ModelConfig
from trainer.data.items import Item
from trainer.encoders.vision_language import VisionLanguageEncoder

A, B = "a" * 64, "b" * 64


class OneColour:
    """Pictures of given sizes; as many as are asked for are counted."""

    def __init__(self, **sizes: tuple[int, int]) -> None:
        self.num_read = 0
        self._sizes = {A: (60, 40), B: (200, 90), **sizes}

    def picture(self, sha256: str) -> Image.Image:
        self.num_read += 1
        return Image.new("RGB", self._sizes[sha256], (200, 30, 60))


PICTURES = OneColour()


def make(directory: Path, **config: Any) -> VisionLanguageEncoder:
    return VisionLanguageEncoder.from_pretrained(ModelConfig(name=str(directory), **config))


def embed(encoder: VisionLanguageEncoder, *items: Item, pictures: Any = PICTURES) -> Tensor:
    with torch.no_grad():
        return encoder([encoder.prepare(item, pictures) for item in items])


def text_of(encoder: VisionLanguageEncoder, item: Item) -> str:
    return encoder.model.tokenizer.decode(list(encoder.prepare(item, PICTURES).token_ids))


def encode_input(item: Item) -> Any:
    parts: dict[str, Any] = {}
    if item.image is not None:
        parts["image"] = PICTURES.picture(item.image)
    if item.text is not None:
        parts["text"] = item.text
    return parts if len(parts) == 2 else next(iter(parts.values()))
