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
    """The image as opaque RGB; what is transparent becomes white.

    The colour that a few RGB files mark as transparent stays, unlike in
    `schemas.pictures`: hashes and vectors that workspaces keep depend on it.
    """
    if image.mode == "RGB":
        image.load()
        return image
    return pictures.on_white(image)
