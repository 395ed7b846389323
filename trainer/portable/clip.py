"""CLIP and its kin as two towers: each side of one model, in the space it was trained in."""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import AutoModel

from trainer.portable.hub_towers import device_of, num_at_once, patch_size, rows_in_order
from trainer.portable.image_pixels import ImagePixels, Pixels
from trainer.portable.networks import (
    build_network,
    config_from,
    in_chunks,
    num_positions,
    plain_config,
    read_network,
)
from trainer.portable.quiet import quiet
from trainer.portable.text_tokens import TextTokens
from trainer.portable.tower import Tower, as_picture

# B items, F features

#: Types of models with `get_text_features` and `get_image_features`.
CLIP_TYPES = frozenset({"clip", "siglip", "siglip2", "metaclip_2", "altclip", "chinese_clip"})
#: Trained on texts that are all padded to one length, and reading the padding
#: (model cards of SigLIP and SigLIP 2; open_clip #984).
_PADDED_TYPES = frozenset({"siglip", "siglip2"})
_TEXT_PARTS = ("text_model", "text_projection")
_VISION_PARTS = ("vision_model", "visual_projection")

_OVERRIDDEN_SETTINGS = ("patch_size", "max_num_patches")
_ST = "sentence_transformers.base.modules"


class _ClipTower(Tower):
    """One side of a model: its own network and projection.

    Args:
        model: With the other side, which is let go of.
    """

    is_trainable: ClassVar[bool] = True
    _parts: ClassVar[tuple[str, ...]]
    _other_config: ClassVar[str]

    def __init__(self, model: Any) -> None:
        super().__init__()
        # A copy that shares the parts of its own side.
        own: Any = copy.copy(model)
        own._modules = {name: part for name, part in model._modules.items() if name in self._parts}
        own._parameters = {}
        self.model = own
        #: Scale and bias of the logits it was trained with; embeddings do not depend on them.
        self.scalars = {
            name: float(value.detach()) for name, value in model.named_parameters(recurse=False)
        }

    @property
    def temperature(self) -> float:
        """The temperature that the model was trained with."""
        return math.exp(-self.scalars.get("logit_scale", math.log(100)))

    def language_model(self) -> tuple[nn.Module, str]:
        return self.model, ""

    def settings(self) -> dict[str, Any]:
        return {"config": plain_config(self.model.config), "scalars": self.scalars}

    @classmethod
    def _build(cls, settings: dict[str, Any]) -> Any:
        """The model with random weights and an empty other side."""
        lean = copy.deepcopy(settings["config"])
        lean[cls._other_config]["num_hidden_layers"] = 0
        model = build_network(lean)
        model.config = config_from(settings["config"])
        return model


class ClipTextTower(_ClipTower):
    """Text features of a CLIP-like model.

    Args:
        model: CLIP, SigLIP, MetaCLIP 2 or the like, of transformers.
        tokens: Its tokenizer.
    """

    modality: ClassVar[Literal["text", "image"]] = "text"
    _parts = _TEXT_PARTS
    _other_config = "vision_config"

    def __init__(self, model: Any, tokens: TextTokens) -> None:
        super().__init__(model)
        self.tokens = tokens
        last = getattr(model, "text_projection", None) or model.text_model.head
        self.dim: int = last.out_features

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
            parts.append(self.model.get_text_features(**inputs).pooler_output.float())
            numbers += chunk
        return rows_in_order(parts, numbers)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "max_tokens": self.tokens.max_tokens}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "ClipTextTower":
        model = cls._build(settings)
        tower = cls(model, _tokens(directory, model, settings["max_tokens"]))
        tower.scalars = settings["scalars"]
        return tower

    def save_files(self, directory: Path) -> None:
        self.tokens.save(directory)

    def fingerprint(self) -> str:
        return f"{super().fingerprint()}-{self.tokens.digest()}"


class ClipImageTower(_ClipTower):
    """Image features of a CLIP-like model.

    Args:
        model: As for the text tower.
        pixels: Its image processor.

    Raises:
        ValueError: The model does not pool its patches.
    """

    modality: ClassVar[Literal["text", "image"]] = "image"
    _parts = _VISION_PARTS
    _other_config = "text_config"

    def __init__(self, model: Any, pixels: ImagePixels) -> None:
        super().__init__(model)
        self.pixels = pixels
        vision = model.config.vision_config
        if not getattr(vision, "vision_use_head", True):
            raise ValueError("its image side has no pooling (vision_use_head is false)")
        projection = getattr(model, "visual_projection", None)
        self.dim: int = vision.hidden_size if projection is None else projection.out_features

    def prepare(self, item: Image.Image) -> Pixels:
        return self.pixels(as_picture(item))

    def num_tokens(self, prepared: Pixels) -> int:
        return self.pixels.num_tokens(prepared)

    def forward(self, batch: Sequence[Pixels]) -> Tensor:
        device = device_of(self)
        parts: list[Tensor] = []
        numbers: list[int] = []
        for chunk, inputs in self.pixels.batches(batch, num_at_once(self, device), device):
            parts.append(self.model.get_image_features(**inputs).pooler_output.float())
            numbers += chunk
        return rows_in_order(parts, numbers)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "pixels": self.pixels.settings()}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "ClipImageTower":
        model = cls._build(settings)
        tower = cls(model, ImagePixels(directory, patch_size(model.config.vision_config)))
        tower.scalars = settings["scalars"]
        return tower

    def save_files(self, directory: Path) -> None:
        self.pixels.save(directory)


def read_clip(directory: Path, max_tokens: int) -> tuple[ClipTextTower, ClipImageTower]:
    """Both towers of a model's directory.

    Args:
        directory: As transformers saves a model with its tokenizer and image settings.
        max_tokens: Longer texts are truncated; never more than the model was trained with.

    Raises:
        ValueError: The directory is not a complete model of a type in `CLIP_TYPES`.
        OSError: Files are missing.
    """
    model = read_network(directory)
    text = ClipTextTower(model, _tokens(directory, model, max_tokens))
    pixels = ImagePixels(directory, patch_size(model.config.vision_config))
    return text, ClipImageTower(model, pixels)


def save_clip(
    text: ClipTextTower, image: ClipImageTower, directory: Path, weights: Mapping[str, Tensor]
) -> None:
    """Writes both towers as the model they came from, for transformers and sentence-transformers.

    Neither needs code of ours to read it:

        CLIPModel.from_pretrained(directory)
        SentenceTransformer(directory).encode(["a red bicycle"])

    Args:
        weights: Of both towers, by their names in the dual model.
    """
    with torch.device("meta"), quiet():
        shell = AutoModel.from_config(text.model.config)
    state = {
        name: torch.full(shell.get_parameter(name).shape, value)
        for name, value in text.scalars.items()
    }
    state |= {name.partition(".model.")[2]: value for name, value in weights.items()}
    shell.load_state_dict(state, assign=True)
    with quiet():
        shell.save_pretrained(directory)
    text.save_files(directory)
    image.save_files(directory)
    _write_modules(text.tokens, image.pixels, directory)


def _tokens(directory: Path, model: Any, max_tokens: int) -> TextTokens:
    """The tokenizer of a CLIP-like model; one that reads padding keeps its full length."""
    positions = num_positions(model.text_model) or max_tokens
    is_padded = model.config.model_type in _PADDED_TYPES
    bound = positions if is_padded else min(max_tokens, positions)
    return TextTokens.read(directory, max_tokens=bound, is_padded=is_padded)


def _write_modules(tokens: TextTokens, pixels: ImagePixels, directory: Path) -> None:
    """What sentence-transformers reads beside a model of transformers."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{_ST}.transformer.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": f"{_ST}.normalize.Normalize"},
    ]
    ways = {
        modality: {"method": f"get_{modality}_features", "method_output_name": "pooler_output"}
        for modality in ("text", "image")
    }
    texts: dict[str, Any] = {"truncation": True, "max_length": tokens.max_tokens}
    if tokens.is_padded:
        texts |= {
            "padding": "max_length",
            "padding_side": "right",
            "return_attention_mask": False,
        }
    # The processor of SigLIP 2 has values of its own, which would win.
    settings = pixels.settings()
    images = {name: settings[name] for name in _OVERRIDDEN_SETTINGS if name in settings}
    transformer = {
        "modality_config": ways,
        "module_output_name": "sentence_embedding",
        "processing_kwargs": {"text": texts, **({"image": images} if images else {})},
    }
    (directory / "1_Normalize").mkdir(exist_ok=True)
    for name, content in (
        ("modules.json", modules),
        ("sentence_bert_config.json", transformer),
        ("1_Normalize/config.json", {}),
    ):
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
