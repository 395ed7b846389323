"""A picture as a network reads it, prepared with Pillow and numpy alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor

# B pictures

_SETTINGS_NAMES = ("preprocessor_config.json", "processor_config.json")
#: Of a longer picture the middle is taken: it would become thousands of times as wide as high.
_MAX_ASPECT_RATIO = 32

#: Inputs of one picture, without batch dimension.
Pixels = Mapping[str, Tensor]


class ImagePixels:
    """An image processor of transformers in its Pillow variant; several threads may call it.

    Args:
        directory: Of a model, with its `preprocessor_config.json`.
        patch_size: Side of what counts as one token, in pixels.

    Raises:
        ValueError: It is of no type that transformers knows, or has no Pillow variant.
        OSError: Files are missing.
    """

    def __init__(self, directory: Path, patch_size: int) -> None:
        if not any((directory / name).is_file() for name in _SETTINGS_NAMES):
            raise ValueError(f"it has no {_SETTINGS_NAMES[0]}, which says how pictures are scaled")
        self.processor: Any = AutoImageProcessor.from_pretrained(
            directory, backend="pil", trust_remote_code=False, local_files_only=True
        )
        self.patch_size = patch_size
        size = self.settings().get("size")
        self._is_scaled_by_side = isinstance(size, dict) and bool(size.get("shortest_edge"))

    def __call__(self, picture: Image.Image) -> Pixels:
        """Inputs of the network for an upright RGB picture."""
        if self._is_scaled_by_side:
            picture = _middle(picture)
        found = self.processor(images=[picture], return_tensors="pt")
        return {name: torch.as_tensor(value)[0] for name, value in found.items()}

    def num_tokens(self, pixels: Pixels) -> int:
        """Patches of the picture."""
        return max(1, pixels["pixel_values"].numel() // (3 * self.patch_size**2))

    def batches(
        self, items: Sequence[Pixels], num_items: int, device: torch.device
    ) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Inputs in batches of pictures of one shape, with the numbers of their items."""
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, pixels in enumerate(items):
            by_shape.setdefault(tuple(pixels["pixel_values"].shape), []).append(number)
        for numbers in by_shape.values():
            for start in range(0, len(numbers), num_items):
                chunk = numbers[start : start + num_items]
                names = items[chunk[0]]
                yield (
                    chunk,
                    {
                        name: torch.stack([items[number][name] for number in chunk]).to(device)
                        for name in names
                    },
                )

    def settings(self) -> dict[str, Any]:
        """How pictures are scaled, as plain JSON values."""
        return json.loads(self.processor.to_json_string())

    def save(self, directory: Path) -> None:
        """Writes the processor's settings."""
        self.processor.save_pretrained(directory)


def _middle(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    longest = _MAX_ASPECT_RATIO * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return picture.crop((left, top, left + min(width, longest), top + min(height, longest)))
