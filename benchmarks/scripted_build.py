"""What benchmark builds have in common: pictures, configuration."""

import io

import numpy as np
from PIL import Image

from builder.config import BuildConfig
from builder.images.store import ImageStore
from builder.workspace import Workspace
from tests.generate.replies import LANGUAGES

_NUM_IMAGES = 200
_SIDE_PX = 256


def config_for(num_samples: int, in_flight: int) -> BuildConfig:
    """A build of all ten cells in twelve languages."""
    return BuildConfig.model_validate(
        {
            "num_samples": num_samples,
            "languages": dict.fromkeys(LANGUAGES, 1),
            "images": {"embedder": "descriptor", "window": (-1, 1)},
            "teacher": {
                "model": "scripted",
                "prices": {"input_usd_per_mtok": 0.3, "output_usd_per_mtok": 1.2},
            },
            "pace": {"max_in_flight": in_flight, "initial_in_flight": min(in_flight, 64)},
        }
    )


def fill_workspace(workspace: Workspace) -> None:
    """Two hundred WebP pictures of some 5 KB."""
    random = np.random.default_rng(0)
    with ImageStore(workspace.images_dir) as store, store.batch():
        for number in range(_NUM_IMAGES):
            coarse = random.integers(0, 255, (12, 12, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC)
            buffer = io.BytesIO()
            picture.save(buffer, "WEBP", quality=80)
            store.add(buffer.getvalue(), group=f"g{number}", licence="cc0-1.0", source="benchmark")
