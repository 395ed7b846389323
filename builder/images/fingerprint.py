"""Perceptual hash of an image: the same for re-encoded and resized copies."""

import numpy as np
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
