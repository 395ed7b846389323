"""The one normal form of a picture: upright sRGB pixels, opaque, 8 bits, without metadata."""

from builder.images.normal.form import (
    NormalPicture,
    normal_of,
    normal_or_same,
    normal_picture,
)

__all__ = ["NormalPicture", "normal_of", "normal_or_same", "normal_picture"]
