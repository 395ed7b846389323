"""The vision tower apart from the language model, so that each picture passes it once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from trainer.portable.families import Family
from trainer.portable.image_reader import ImageInput

# B items, T image tokens, H hidden

#: Pixel values in one pass of the vision tower: 28 pictures of 896 x 896.
MAX_PIXEL_VALUES = 1 << 26


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What the vision tower gives for one picture.

    Args:
        tokens_TH: Vectors in the places of its image tokens, or states for cross attention.
        levels: Further vectors for the same places, added in deeper layers (DeepStack).
    """

    tokens_TH: Tensor
    levels: tuple[Tensor, ...] = ()


def image_features(
    model: nn.Module, family: Family, images: Sequence[ImageInput]
) -> dict[str, ImageFeatures]:
    """Features of distinct pictures, by key; pictures of one shape pass together.

    Raises:
        ValueError: The model gives another number of vectors than the text has places.
    """
    distinct = {image.key: image for image in images}
    groups: dict[tuple[Any, ...], list[ImageInput]] = {}
    for image in distinct.values():
        shape = tuple((name, tensor.shape[1:]) for name, tensor in image.tensors.items())
        groups.setdefault(shape, []).append(image)
    found: dict[str, ImageFeatures] = {}
    for group in groups.values():
        for part in _parts(group):
            features = _tower_pass(model, family, part)
            found.update(zip((image.key for image in part), features, strict=True))
    return found


@contextmanager
def given_features(
    model: Any, family: Family, features: Sequence[ImageFeatures]
) -> Iterator[dict[str, Tensor]]:
    """Within it, the model's own forward takes these features instead of its vision tower.

    Args:
        features: One for each item with an image, in the items' order.

    Yields:
        What stands for the pixels in the call of the model.
    """
    if not features or family.features == "cross":
        yield {}
        return
    tokens = [feature.tokens_TH for feature in features]
    output = SimpleNamespace(
        pooler_output=tokens if family.features == "list" else torch.cat(tokens).unsqueeze(0),
        deepstack_features=[
            list(level) for level in zip(*(feature.levels for feature in features), strict=True)
        ],
    )
    model.get_image_features = lambda *args, **kwargs: output
    try:
        yield {"pixel_values": tokens[0].new_zeros(1)}
    finally:
        del model.get_image_features


def cross_attention(
    images: Sequence[tuple[int, ImageInput]],
    features: Mapping[str, ImageFeatures],
    mask_BL: Tensor,
    num_tiles: int,
) -> dict[str, Tensor]:
    """Inputs of a language model that sees pictures through cross attention.

    Items without a picture have states of zeros, which change nothing.

    Args:
        images: Row and picture of the items that have one.
        num_tiles: Tiles that every picture is padded to.
    """
    if not images:
        return {}
    sample = features[images[0][1].key].tokens_TH
    states = [sample.new_zeros(sample.shape) for _ in range(len(mask_BL))]
    seen = torch.zeros(*mask_BL.shape, 1, num_tiles, dtype=torch.long, device=mask_BL.device)
    for row, image in images:
        states[row] = features[image.key].tokens_TH
        seen[row, :, :, : image.num_tiles] = mask_BL[row, :, None, None]
    return {"cross_attention_states": torch.stack(states), "cross_attention_mask": seen}


def _parts(images: Sequence[ImageInput]) -> Iterator[list[ImageInput]]:
    """Pictures that pass the tower together."""
    part: list[ImageInput] = []
    size = 0
    for image in images:
        pixels = image.tensors["pixel_values"].numel()
        if part and size + pixels > MAX_PIXEL_VALUES:
            yield part
            part, size = [], 0
        part.append(image)
        size += pixels
    yield part


def _tower_pass(model: Any, family: Family, images: Sequence[ImageInput]) -> list[ImageFeatures]:
    weight = next(model.parameters())
    inputs: dict[str, Tensor] = {}
    for name in images[0].tensors:
        tensor = torch.cat([image.tensors[name] for image in images])
        dtype = weight.dtype if tensor.is_floating_point() else None
        inputs[name] = tensor.to(weight.device, dtype)
    if family.features == "cross":
        states = model.multi_modal_projector(model.vision_model(**inputs).last_hidden_state)
        return [
            ImageFeatures(image_TH)
            for image_TH in states.reshape(len(images), -1, states.shape[-1])
        ]
    output = model.get_image_features(**inputs)
    counts = [image.num_features or 0 for image in images]
    tokens = _split(output.pooler_output, counts)
    levels = [_split(level, counts) for level in getattr(output, "deepstack_features", None) or []]
    return [
        ImageFeatures(tokens[place], tuple(level[place] for level in levels))
        for place in range(len(images))
    ]


def _split(found: Tensor | Sequence[Tensor], counts: Sequence[int]) -> Sequence[Tensor]:
    """Vectors of each picture, whichever way the model groups them."""
    parts: list[Tensor] = [found] if isinstance(found, Tensor) else list(found)
    vectors = torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])
    if len(vectors) != sum(counts):
        raise ValueError(
            f"the model gives {len(vectors)} vectors for pictures that have {sum(counts)} places "
            "in the text; its image settings and its config.json do not belong together"
        )
    return torch.split(vectors, list(counts))
