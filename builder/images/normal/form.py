"""Brings a picture into the normal form: stripped where that is enough, else encoded once."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, JpegImagePlugin

from builder.images.normal.colour import means_srgb, to_srgb
from builder.images.normal.containers import clean_gif, clean_png, clean_webp
from builder.images.normal.jpeg import clean_jpeg
from schemas.pictures import (
    as_upright_rgb,
    has_transparency,
    open_picture,
    orientation_of,
    upright,
)

#: Cut the metadata out of a file without touching its pixels.
_CLEANERS: dict[str, Callable[[bytes], bytes | None]] = {
    "JPEG": clean_jpeg,
    "PNG": clean_png,
    "WEBP": clean_webp,
    "GIF": clean_gif,
}
#: Modes that every decoder turns into the same RGB pixels.
_PLAIN_MODES = {
    "JPEG": {"L", "RGB"},
    "PNG": {"1", "L", "P", "RGB", "LA", "RGBA"},
    "WEBP": {"RGB", "RGBA"},
    "GIF": {"P", "L", "RGB", "RGBA"},
}
_GREY_MODES = {"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
_JPEG_QUALITY = 95
#: Above this many bytes a picture from a lossless file is stored as JPEG too.
_MAX_PNG_BYTES = 16_000_000
_PNG_BIT_DEPTH = 24  # where a PNG file has it


@dataclass(frozen=True, slots=True)
class NormalPicture:
    """A picture as it is stored, sent and published.

    Args:
        data: The file; the very bytes that came where they were normal already.
        format: "JPEG", "PNG", "WEBP" or "GIF".
        is_encoded: Whether the pixels were encoded again.
        is_invisible: Whether it was fully transparent.
    """

    data: bytes
    format: str
    is_encoded: bool = False
    is_invisible: bool = False


def normal_picture(image: Image.Image, data: bytes) -> NormalPicture:
    """The normal form of a picture; that of a normal form is itself.

    Every reader gets the same pixels from it, whether it heeds EXIF orientation,
    colour profiles, transparency and more than 8 bits, or not.

    Args:
        image: As `schemas.pictures.open_picture` gives it; may be decoded by the call.
        data: The whole file.

    Raises:
        Exception: Whatever Pillow raises where pixels cannot be decoded.
    """
    kind = format_of(image)
    clean = _CLEANERS[kind](data) if kind in _CLEANERS else None
    if clean is not None and _is_plain(image, kind, data):
        alpha = _alpha_range(image)
        if alpha[0] == 255:
            return NormalPicture(data if clean == data else clean, kind)
        if alpha[1] == 0:
            return NormalPicture(clean, kind, is_invisible=True)
    return _encoded(image, is_lossy=_is_lossy(kind, data))


def normal_of(data: bytes) -> NormalPicture:
    """The normal form of a file.

    Raises:
        Exception: Whatever Pillow raises where it cannot be decoded.
    """
    with open_picture(data) as image:
        return normal_picture(image, data)


def normal_or_same(data: bytes, kind: str) -> tuple[bytes, str]:
    """The normal form and its format; the file itself where it has none."""
    try:
        normal = normal_of(data)
    except Exception:  # decoders can raise anything on hostile bytes
        return data, kind
    return normal.data, normal.format


def format_of(image: Image.Image) -> str:
    """The format by content; a JPEG with further pictures behind it (MPO) is a JPEG."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def _is_plain(image: Image.Image, kind: str, data: bytes) -> bool:
    """Whether the stored pixels are the picture, but for transparency."""
    if image.mode not in _PLAIN_MODES[kind]:
        return False
    if kind == "PNG" and data[_PNG_BIT_DEPTH] > 8:
        return False
    profile = image.info.get("icc_profile")
    return orientation_of(image) == 1 and means_srgb(profile, image.mode)


def _alpha_range(image: Image.Image) -> tuple[int, int]:
    """Least and greatest opacity; (255, 255) without transparency."""
    if not has_transparency(image):
        return 255, 255
    image.load()
    low, high = image.convert("RGBA").getchannel("A").getextrema()
    assert isinstance(low, int) and isinstance(high, int)
    return low, high


def _is_lossy(kind: str, data: bytes) -> bool:
    return kind == "JPEG" or (kind == "WEBP" and b"VP8 " in data)


def _encoded(image: Image.Image, *, is_lossy: bool) -> NormalPicture:
    profile = image.info.get("icc_profile")
    sampling = _sampling(image)
    is_grey = image.mode in _GREY_MODES
    image.load()
    is_invisible = _alpha_range(image)[1] == 0
    if profile and image.mode == "CMYK":
        picture = upright(to_srgb(image, profile), orientation_of(image))
    elif profile and not is_grey:
        picture = to_srgb(as_upright_rgb(image), profile)
    elif profile:
        picture = to_srgb(as_upright_rgb(image).convert("L"), profile)
    else:
        picture = as_upright_rgb(image)
    picture = picture.convert("L" if is_grey else "RGB").copy()
    picture.info = {}
    if not is_lossy:
        encoded = _saved(picture, "PNG")
        if len(encoded) <= _MAX_PNG_BYTES:
            return NormalPicture(encoded, "PNG", True, is_invisible)
    encoded = _saved(picture, "JPEG", quality=_JPEG_QUALITY, subsampling=sampling)
    return NormalPicture(encoded, "JPEG", True, is_invisible)


def _sampling(image: Image.Image) -> int:
    """Chroma subsampling that loses nothing against the file's own: 4:2:0 stays, others 4:4:4."""
    if image.format not in ("JPEG", "MPO"):
        return 0
    return 2 if JpegImagePlugin.get_sampling(image) == 2 else 0


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
