"""Perceptual hash of an image: the same for re-encoded and resized copies."""

import numpy as np
from PIL import Image


def difference_hash(image: Image.Image) -> str:
    """64-bit difference hash as 16 hex digits; decodes the image.

    Each bit says whether a pixel of the 9 x 8 grey thumbnail is brighter than its left neighbour.

    Source: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013.
    """
    grey = np.asarray(on_white(image).convert("L").resize((9, 8), Image.Resampling.BOX))
    bits = grey[:, 1:] > grey[:, :-1]
    return np.packbits(bits).tobytes().hex()


def on_white(image: Image.Image) -> Image.Image:
    """The image as opaque RGB; what is transparent becomes white."""
    if image.mode == "RGB":
        image.load()
        return image
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":  # 16 bit and more: scale, not clip
        values = np.asarray(image, dtype=np.float32)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray((values / top * 255).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
