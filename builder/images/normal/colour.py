"""Colour profiles: which mean sRGB, and pictures of others converted to it."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_MAX_PROFILE_BYTES = 4_000_000
#: Steps of 8-bit colours that a profile may move without a person seeing it.
_UNSEEN = 3
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_STEPS = 9


def means_srgb(profile: bytes | None, mode: str) -> bool:
    """Whether a picture's values mean the same with the profile as without.

    So it is without a profile, with one that cannot be used, which viewers ignore, and with
    one that moves no colour.
    """
    transform = _transform(profile) if profile else None
    if transform is None or transform[0] != _space_mode(mode):
        return True
    return transform[2]


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB, mode "RGB", or as it is where the profile cannot be used.

    Args:
        image: Mode "RGB", "L" or "CMYK".
        profile: An ICC profile as the file has it.
    """
    transform = _transform(profile) if profile else None
    if transform is None or transform[0] != image.mode or transform[2]:
        return image
    return ImageCms.applyTransform(image, transform[1]) or image


def _space_mode(mode: str) -> str:
    """The mode in which a picture of some mode is converted."""
    if mode == "CMYK":
        return "CMYK"
    return "L" if mode.startswith(("1", "L", "I", "F")) else "RGB"


@lru_cache(64)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform, bool] | None:
    """Input mode, transform to sRGB, and whether it moves no colour; None if it is of no use."""
    if len(profile) > _MAX_PROFILE_BYTES:
        return None
    try:
        opened = ImageCms.getOpenProfile(BytesIO(profile))
        space = opened.profile.xcolor_space  # pyright: ignore[reportAttributeAccessIssue]
        mode = _MODE_OF_SPACE.get(space.strip())
        if mode is None:
            return None
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return mode, transform, mode != "CMYK" and _moves_nothing(mode, transform)
    except Exception:  # a damaged profile is none: viewers ignore it too
        return None


def _moves_nothing(mode: str, transform: ImageCms.ImageCmsTransform) -> bool:
    """Tries colours over the whole range."""
    steps = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    if mode == "L":
        colours = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    else:
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        colours = Image.fromarray(grid)
    before = np.asarray(colours.convert("RGB")).astype(int)
    after = np.asarray(ImageCms.applyTransform(colours, transform)).astype(int)
    return bool(np.abs(after - before).max() <= _UNSEEN)
