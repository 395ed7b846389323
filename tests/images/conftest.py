"""Small real images, and stores of them."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builder.images.store import ImageStore

MakeImage = Callable[..., bytes]


def encode_noise(seed: int, format: str = "PNG", size: tuple[int, int] = (96, 64)) -> bytes:
    """A blurred picture of noise, different for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    buffer = BytesIO()
    image.save(buffer, format, quality=90)
    return buffer.getvalue()


@pytest.fixture
def noise() -> MakeImage:
    return encode_noise


@pytest.fixture
def store(tmp_path: Path):
    with ImageStore(tmp_path / "images") as opened:
        yield opened


@pytest.fixture
def one_thread():
    """Torch without threads of its own, which wait for one another on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
