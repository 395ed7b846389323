"""Photographs for benchmarks: a folder of one's own, or what installed packages ship, in pieces."""

from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from builder.images.sources.folder import IMAGE_SUFFIXES
from schemas.pictures import read_picture

#: Package, file, and what it shows.
_SHIPPED = (
    ("gradio", "media_assets/images/cheetah.jpg", "cheetah"),
    ("gradio", "test_data/cheetah2.jpg", "cheetah"),
    ("gradio", "media_assets/images/lion.jpg", "lion"),
    ("gradio", "media_assets/images/tower.jpg", "tower"),
    ("sklearn", "datasets/images/flower.jpg", "flower"),
    ("sklearn", "datasets/images/china.jpg", "temple"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "officer"),
)
#: Each of them gives nine pieces that do not overlap.
_ACROSS = 3
_MAX_SIDE_PX = 512


def labelled(directory: Path | None) -> tuple[list[Image.Image], list[str]]:
    """Photographs and what each shows: the name of its folder, or of the whole it is a piece of."""
    found = _from_folder(directory) if directory else _pieces()
    pictures, labels = zip(*found, strict=True)
    return list(pictures), list(labels)


def _from_folder(directory: Path) -> Iterator[tuple[Image.Image, str]]:
    for path in sorted(directory.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            yield read_picture(path.read_bytes(), max_side_px=_MAX_SIDE_PX), path.parent.name


def _pieces() -> Iterator[tuple[Image.Image, str]]:
    for package, name, label in _SHIPPED:
        whole = read_picture(files(package).joinpath(name).read_bytes())
        width, height = whole.width // _ACROSS, whole.height // _ACROSS
        for number in range(_ACROSS**2):
            left, top = number % _ACROSS * width, number // _ACROSS * height
            yield whole.crop((left, top, left + width, top + height)), label


def in_other_light(picture: Image.Image, seed: int) -> Image.Image:
    """The picture with a tint, brightness and contrast of its own: colours tell nothing of it."""
    random = np.random.default_rng(seed)
    tint: NDArray[np.float64] = random.uniform(0.6, 1.4, 3)
    bands = [
        band.point(partial(_scaled, float(factor)))
        for band, factor in zip(picture.split(), tint, strict=True)
    ]
    tinted = ImageEnhance.Contrast(Image.merge("RGB", bands)).enhance(random.uniform(0.7, 1.3))
    turned = tinted.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else tinted
    return ImageEnhance.Brightness(turned).enhance(random.uniform(0.7, 1.2))


def _scaled(factor: float, value: int) -> int:
    return min(255, round(factor * value))
