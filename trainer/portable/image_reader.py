"""Pictures as a vision tower reads them, prepared with Pillow and numpy alone."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor
from transformers import AutoImageProcessor

from trainer.portable.families import Family
from trainer.portable.image_tokens import Vocabulary
from trainer.portable.lfm2_images import Lfm2Images
from trainer.portable.text_format import read_json

SETTINGS_NAME = "preprocessor_config.json"
_NESTED_NAME = "processor_config.json"
#: Longer pictures get white margins: image processors refuse some of 200 to 1.
_MAX_ASPECT_RATIO = 50


class UnfitPictureError(ValueError):
    """A picture that the model's image processor refuses.

    Args:
        size: Its width and height in pixels.
        cause: What the image processor says.
    """

    def __init__(self, size: tuple[int, int], cause: Exception) -> None:
        self.size = size
        self.cause = cause
        super().__init__(f"the model takes no picture of {size[0]} x {size[1]} pixels: {cause}")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ImageInput:
    """One picture, ready for the vision tower.

    Args:
        key: Names the picture; equal for equal pictures.
        tensors: Inputs of the vision tower; the first dimension counts patches or tiles.
        token_ids: The picture in the text.
        num_features: How many vectors the vision tower gives for it; None leaves that open.
        num_tiles: Tiles that hold pixels.
    """

    key: str
    tensors: Mapping[str, Tensor]
    token_ids: tuple[int, ...]
    num_features: int | None
    num_tiles: int = 1


class ImageReader:
    """From an upright RGB picture to an `ImageInput`; several threads may call it.

    Args:
        directory: Of the model, with its `preprocessor_config.json`.
        max_pixels: Larger pictures are reduced first; None leaves size to the processor.
        dtype: Of the pixels; half precision halves what a step's pictures take.

    Raises:
        ValueError: The directory has no image settings.
    """

    def __init__(
        self,
        directory: Path,
        family: Family,
        vocabulary: Vocabulary,
        *,
        max_pixels: int | None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.family = family
        self.vocabulary = vocabulary
        self.max_pixels = max_pixels
        self.dtype = dtype
        self.settings = _image_settings(directory)
        self.processor: Any
        if vocabulary.config.model_type == "lfm2_vl":
            self.processor = Lfm2Images.from_settings(self.settings)
        else:
            self.processor = AutoImageProcessor.from_pretrained(
                directory, backend="pil", trust_remote_code=False, local_files_only=True
            )

    def __call__(self, picture: Image.Image, key: str) -> ImageInput:
        """The picture as pixels and token ids.

        Raises:
            UnfitPictureError: The image processor refuses it, such as for its shape.
        """
        picture = self._reduced(picture)
        try:
            found = self._process(picture)
        except (ValueError, ZeroDivisionError) as exc:
            raise UnfitPictureError(picture.size, exc) from exc
        token_ids = tuple(self.family.block(self.vocabulary, found))
        tensors = {
            name: self._as_input(found[name]) for name in self.family.tower_inputs if name in found
        }
        mask = tensors.get("pixel_attention_mask")
        if self.family.is_tiled and mask is not None and bool(mask.all()):
            del tensors["pixel_attention_mask"]  # what the model then takes for itself
        is_cross = self.family.features == "cross"
        count = None if is_cross else token_ids.count(self.vocabulary.image_id)
        num_tiles = int(found["num_tiles"][0][0]) if is_cross else 1
        return ImageInput(key, tensors, token_ids, count, num_tiles)

    def save(self, directory: Path) -> None:
        """Writes the image settings."""
        if isinstance(self.processor, Lfm2Images):
            text = json.dumps(self.settings, indent=2, sort_keys=True)
            (directory / SETTINGS_NAME).write_text(text + "\n", encoding="utf-8")
        else:
            self.processor.save_pretrained(directory)

    def _process(self, picture: Image.Image) -> Mapping[str, Any]:
        if isinstance(self.processor, Lfm2Images):
            return self.processor(picture)
        options = self.family.processor_options
        return self.processor(images=[picture], return_tensors="pt", **options)

    def _as_input(self, value: Any) -> Tensor:
        tensor = torch.as_tensor(value)
        if self.family.is_tiled:
            tensor = tensor.flatten(0, 1).unsqueeze(1)
        if tensor.is_floating_point():
            return tensor.to(self.dtype)
        return tensor.bool() if self.family.is_tiled else tensor

    def _reduced(self, picture: Image.Image) -> Image.Image:
        """The picture within the bounds of size and shape."""
        width, height = picture.size
        if self.max_pixels is not None and width * height > self.max_pixels:
            scale = math.sqrt(self.max_pixels / (width * height))
            size = (max(1, int(width * scale)), max(1, int(height * scale)))
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        short, long = sorted(picture.size)
        if long > short * _MAX_ASPECT_RATIO:
            least = math.ceil(long / _MAX_ASPECT_RATIO)
            size = (max(picture.width, least), max(picture.height, least))
            picture = ImageOps.pad(picture, size, color="white")
        return picture


def _image_settings(directory: Path) -> dict[str, Any]:
    settings = read_json(directory / SETTINGS_NAME)
    if not settings:
        settings = read_json(directory / _NESTED_NAME).get("image_processor") or {}
    if not settings:
        raise ValueError(
            f"it has no {SETTINGS_NAME}, which says how pictures are scaled for it; "
            "copy that file from the original model"
        )
    return settings
