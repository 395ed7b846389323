"""EfficientNet-lite0: averages of its last feature map and of four earlier ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad, relu6

from trainer.portable.tower import Tower, as_picture

# B pictures, C channels, H height, W width, F features


class _Stage(NamedTuple):
    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


#: Tan and Le 2019, arXiv:1905.11946, in the lite form of tensorflow/tpu: no
#: squeeze-and-excitation, ReLU6, stem and head of fixed width.
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
#: The last block of its stage each; the earlier ones know of colour and texture.
_READ_BLOCKS = (4, 7, 10, 14)
_MEAN, _SCALE = 0.498, 0.502
#: The last feature map of the smallest is one pixel; the largest takes seconds a picture.
_MIN_SIDE, _MAX_SIDE = 32, 1024


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding; batch normalisation is folded into it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 1:  # as a product of matrices it takes two thirds of the time on a CPU
            return linear(input.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(
                0, 3, 1, 2
            )
        margins: list[int] = []
        for side in (input.shape[3], input.shape[2]):
            missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            margins += [missing // 2, missing - missing // 2]
        is_even = len(set(margins)) == 1
        padded = input if is_even else pad(input, margins)
        own = margins[0] if is_even else 0
        return conv2d(padded, self.weight, self.bias, self.stride, own, groups=self.groups)


class Block(nn.Module):
    """Inverted residual: expand, convolve each channel, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inside = inputs * expansion
        self.expand = SameConv(inputs, inside, 1) if expansion > 1 else nn.Identity()
        self.depthwise = SameConv(inside, inside, kernel, stride, groups=inside)
        self.project = SameConv(inside, outputs, 1)
        self.is_expanded = expansion > 1
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, input_BCHW: Tensor) -> Tensor:
        inside = input_BCHW
        if self.is_expanded:
            inside = relu6(self.expand(input_BCHW), inplace=True)
        output_BCHW = self.project(relu6(self.depthwise(inside), inplace=True))
        return output_BCHW + input_BCHW if self.is_residual else output_BCHW


class EfficientNetImageTower(Tower):
    """EfficientNet-lite0 over pictures fitted into white squares.

    Features of each size are the average over space of the last feature map (1,280),
    then of the outputs of blocks 4, 7, 10 and 14 (424): one forward pass gives all.

    Args:
        sides: Pixels of the squares, one forward pass each. A small one shows the picture as a
            whole, a large one its details; it was trained at 224.

    Raises:
        ValueError: A size is none at which it sees something, or would fill memory.
    """

    modality: ClassVar[Literal["text", "image"]] = "image"
    batch_size: ClassVar[int] = 8  # larger batches leave the CPU's cache and are slower

    def __init__(self, sides: Sequence[int]) -> None:
        super().__init__()
        self.sides = tuple(sides)
        if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in self.sides):
            raise ValueError(f"sizes from {_MIN_SIDE} to {_MAX_SIDE} pixels; got {self.sides}.")
        self.stem = SameConv(3, _STEM_CHANNELS, 3, 2)
        self.blocks = nn.ModuleList()
        channels = _STEM_CHANNELS
        for stage in _STAGES:
            for position in range(stage.num_blocks):
                stride = stage.stride if position == 0 else 1
                self.blocks.append(
                    Block(channels, stage.channels, stage.kernel, stride, stage.expansion)
                )
                channels = stage.channels
        self.head = SameConv(channels, _HEAD_CHANNELS, 1)
        # Channels last: an eighth of the time on a CPU.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        of_one_size = _HEAD_CHANNELS + sum(
            int(self.blocks[index].project.out_channels)  # pyright: ignore
            for index in _READ_BLOCKS
        )
        self.dim = len(self.sides) * of_one_size

    def prepare(self, item: Image.Image) -> list[Tensor]:
        """Pixels of shape (side, side, 3), uint8, of each size."""
        picture = as_picture(item).convert("RGB")
        return [torch.from_numpy(fit_square(picture, side)) for side in self.sides]

    def num_tokens(self, prepared: Sequence[Tensor]) -> int:
        return sum((side // 32) ** 2 for side in self.sides)

    def forward(self, batch: Sequence[Sequence[Tensor]]) -> Tensor:
        chunks = [
            self._of_all_sizes(batch[start : start + self.batch_size])
            for start in range(0, len(batch), self.batch_size)
        ]
        return torch.cat(chunks)

    def _of_all_sizes(self, batch: Sequence[Sequence[Tensor]]) -> Tensor:
        """Features of a few pictures, those of each size side by side, shape (B, F)."""
        by_size = zip(*batch, strict=True)
        return torch.cat([self._features(torch.stack(pixels)) for pixels in by_size], dim=1)

    def _features(self, pixels_BHWC: Tensor) -> Tensor:
        weight = self.stem.weight
        pixels_BCHW = pixels_BHWC.to(weight.device).permute(0, 3, 1, 2)
        state_BCHW = (pixels_BCHW.to(weight.dtype) / 255 - _MEAN) / _SCALE
        state_BCHW = relu6(self.stem(state_BCHW), inplace=True)
        averages: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            state_BCHW = block(state_BCHW)
            if index in _READ_BLOCKS:
                averages.append(state_BCHW.mean((2, 3)))
        last_BF = relu6(self.head(state_BCHW), inplace=True).mean((2, 3))
        return torch.cat([last_BF, *averages], dim=1).float()

    def settings(self) -> dict[str, Any]:
        return {"sides": list(self.sides)}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], directory: Path) -> "EfficientNetImageTower":
        return cls(settings["sides"] if "sides" in settings else [settings["side"]])  # older: one


def fit_square(picture: Image.Image, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pixels of shape (side, side, 3): fitted without cropping or distortion, the rest white."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    square = Image.new("RGB", (side, side), "white")
    resized = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    square.paste(resized, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.array(square)
