"""Image bytes to square RGB pixels."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from schemas.errors import PolysceneError

#: Larger pictures are refused before they are decoded.
MAX_IMAGE_PIXELS = 50_000_000


class PictureError(PolysceneError):
    """Published image bytes cannot be decoded."""


def read_picture(data: bytes, side: int) -> NDArray[np.float32]:
    """Pixels in [0, 1], shape (side, side, 3); transparency is laid over white.

    The picture is fitted into the square without cropping or distortion.

    Raises:
        PictureError: The bytes are no image, or an absurdly large one.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_IMAGE_PIXELS:
                raise PictureError(
                    f"image of {picture.width} x {picture.height} px: larger than "
                    f"{MAX_IMAGE_PIXELS} px. Drop its row and release again."
                )
            rgba = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as exc:
        raise PictureError(
            f"image of {len(data)} bytes: cannot be decoded. Drop its row and release again."
        ) from exc
    scale = side / max(rgba.size)
    size = (max(1, round(rgba.width * scale)), max(1, round(rgba.height * scale)))
    rgba = rgba.resize(size, Image.Resampling.BILINEAR)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(rgba, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(square.convert("RGB"), dtype=np.float32) / np.float32(255)
