"""Perceptual hashes of an image: the same, or nearly, for copies of it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas import pictures


def difference_hash(image: Image.Image) -> str:
    """64-bit difference hash as 16 hex digits; decodes the image.

    Each bit says whether a pixel of the 9 x 8 grey thumbnail is brighter than its left neighbour.

    Source: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013.
    """
    grey = np.asarray(on_white(image).convert("L").resize((9, 8), Image.Resampling.BOX))
    bits = grey[:, 1:] > grey[:, :-1]
    return np.packbits(bits).tobytes().hex()


def on_white(image: Image.Image) -> Image.Image:
    """The image as opaque RGB; transparent pixels become white.

    Unlike in `schemas.pictures`, the colour that a few RGB files mark as transparent
    is kept, since hashes and vectors stored in workspaces depend on it.
    """
    if image.mode == "RGB":
        image.load()
        return image
    return pictures.on_white(image)


_LOOK_SIDE_PX = 64
_LOOK_FREQUENCIES = 16
#: Bytes of a look hash.
LOOK_BYTES = _LOOK_FREQUENCIES**2 // 8
_FREQUENCY = np.arange(_LOOK_FREQUENCIES)[:, None]
_COSINES = np.cos(np.pi / _LOOK_SIDE_PX * (np.arange(_LOOK_SIDE_PX) + 0.5) * _FREQUENCY)
#: Bits that change when a picture is mirrored: those of odd horizontal frequencies.
MIRROR_MASK = np.packbits(np.tile(np.arange(_LOOK_FREQUENCIES) % 2, _LOOK_FREQUENCIES))


def look_hash(image: Image.Image) -> NDArray[np.uint8]:
    """256 bits, shape (32,): the signs of the lowest frequencies of the grey picture.

    Resizing, compression, brightness and small crops change few bits; mirroring changes
    exactly those of `MIRROR_MASK`. Hashes of unrelated photographs differ in 124 bits on
    average.

    Source: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010
    (pHash), with signs instead of comparisons with the median, so that mirroring is a mask.
    """
    size = (_LOOK_SIDE_PX, _LOOK_SIDE_PX)
    small = on_white(image).convert("L").resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    grey = np.asarray(small).astype(np.float64)
    frequencies = _COSINES @ (grey - grey.mean()) @ _COSINES.T
    return np.packbits(frequencies > 0)
