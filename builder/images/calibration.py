"""What counts as related and what as a copy, found out from the corpus itself."""

# N images, D embedding, B images of the sample

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from builder.images.embedders import Embedder
from builder.images.index import ImageIndex
from builder.images.store import ImageStore
from builder.images.vectors import QUANTUM, decode, vectors_directory

_NUM_PAIRS = 20_000
_NUM_COPIED = 96
#: A neighbour is more alike than this share of random pairs; in a small corpus a larger share, so
#: that images have as many neighbours as wanted.
_RELATED_SHARE = 0.01
_MAX_RELATED_SHARE = 0.2
#: Of copies made for the purpose, all but this share lie above the greatest similarity.
MISSED_COPIES = 0.05


def window_of(
    store: ImageStore,
    index: ImageIndex,
    vectors_ND: NDArray[np.int16],
    embedder: Embedder,
    num_neighbours: int,
) -> tuple[float, float]:
    """Least and greatest cosine of a positive or hard negative to its query image.

    Calibrated on the corpus when it is first asked for, and kept from then on, so that images
    added later do not change what was planned before: the least is a quantile of the
    similarities of random pairs, the greatest one of those of images to copies of
    themselves, mirrored, cropped, compressed and brightened. An embedder with a window of its own
    keeps it.
    """
    if embedder.default_window is not None:
        return embedder.default_window
    path = vectors_directory(store, embedder) / "window.json"
    known = _read(path)
    if known is None:
        known = _calibrate(store, index, vectors_ND, embedder, num_neighbours)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.replace(path)
    return known


def _read(path: Path) -> tuple[float, float] | None:
    try:
        least, greatest = json.loads(path.read_text(encoding="utf-8"))
        return float(least), float(greatest)
    except (FileNotFoundError, ValueError, TypeError):  # none, or damaged: calibrated again
        return None


def _calibrate(
    store: ImageStore,
    index: ImageIndex,
    vectors_ND: NDArray[np.int16],
    embedder: Embedder,
    num_neighbours: int,
) -> tuple[float, float]:
    unrelated = _random_similarities(vectors_ND, index)
    copies = copy_similarities(_sample(store, index), embedder)
    share = min(_MAX_RELATED_SHARE, max(_RELATED_SHARE, 2 * num_neighbours / max(1, len(index))))
    least = float(np.quantile(unrelated, 1 - share)) if len(unrelated) else 0.0
    greatest = float(np.quantile(copies, MISSED_COPIES)) if len(copies) else 1.0
    return round(least, 3), round(max(greatest, least + 0.02), 3)


def _random_similarities(vectors_ND: NDArray[np.int16], index: ImageIndex) -> NDArray[np.float32]:
    """Cosines of random pairs of images from different groups."""
    if len(index) < 2:
        return np.zeros(0, dtype=np.float32)
    random = np.random.default_rng(0)
    first, second = random.integers(0, len(index), (2, _NUM_PAIRS))
    differ = index.group_N[first] != index.group_N[second]
    first, second = first[differ], second[differ]
    products = np.einsum(
        "nd,nd->n", vectors_ND[first], vectors_ND[second], dtype=np.float32, casting="unsafe"
    )
    return products / np.float32(QUANTUM**2)


def _sample(store: ImageStore, index: ImageIndex) -> list[Image.Image]:
    num = min(_NUM_COPIED, len(index))
    chosen = np.random.default_rng(0).choice(len(index), num, replace=False)
    return [decode(store.read(index.sha256[place]).data) for place in sorted(chosen)]


def copy_similarities(images: Sequence[Image.Image], embedder: Embedder) -> NDArray[np.float32]:
    """Cosines of images to altered copies of themselves, two of each."""
    own_BD = _embed(images, embedder)
    return np.concatenate(
        [
            (own_BD * _embed([alter(image) for image in images], embedder)).sum(axis=1)
            for alter in (_mirrored_and_cropped, _compressed_and_brightened)
        ]
        or [np.zeros(0, dtype=np.float32)]
    )


def _embed(images: Sequence[Image.Image], embedder: Embedder) -> NDArray[np.float32]:
    size = embedder.batch_size
    parts = [embedder.embed(images[start : start + size]) for start in range(0, len(images), size)]
    return np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)


def _mirrored_and_cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    box = (width // 25, height // 25, width - width // 25, height - height // 25)
    return ImageOps.mirror(image.convert("RGB").crop(box))


def _compressed_and_brightened(image: Image.Image) -> Image.Image:
    encoded = io.BytesIO()
    ImageEnhance.Brightness(image.convert("RGB")).enhance(1.15).save(encoded, "JPEG", quality=50)
    with Image.open(encoded) as copy:
        copy.load()
        return copy.convert("RGB")
