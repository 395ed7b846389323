"""A store of small pictures in groups, shared by the tests of planning."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builder.images.store import ImageStore


def fill(store: ImageStore, num_groups: int, *, start: int = 0) -> None:
    """Two drawings of each of some things: one group a thing."""
    random = np.random.default_rng(start)
    with store.batch():
        for group in range(start, start + num_groups):
            for style in range(2):
                pixels = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                buffer = BytesIO()
                Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC).save(
                    buffer, "PNG"
                )
                store.add(buffer.getvalue(), group=f"thing {group}", source=f"{group}/{style}")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory):
    """60 things, 120 images; read only."""
    directory: Path = tmp_path_factory.mktemp("planned") / "images"
    with ImageStore(directory) as opened:
        fill(opened, 60)
        yield opened
