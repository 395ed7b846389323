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
#: The largest block of a JPEG file that is encoded by itself.
_WHOLE_BLOCKS_PX = 16
#: Above this many bytes a picture from a lossless file is stored as JPEG too.
_MAX_PNG_BYTES = 16_000_000
#: One of these is in every PNG that says how it lies: its EXIF chunk, the same in text, XMP.
_PNG_ORIENTATION = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
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
    is_plain = kind in _CLEANERS and _is_plain(image, kind, data)
    clean = _CLEANERS[kind](data) if is_plain else None
    if clean is not None:
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
    return _lies_upright(image, kind, data) and means_srgb(profile, image.mode)


def _lies_upright(image: Image.Image, kind: str, data: bytes) -> bool:
    # Pillow decodes a whole PNG for EXIF that may stand behind its pixels, so look for any first.
    has_none = kind == "PNG" and not any(word in data for word in _PNG_ORIENTATION)
    return has_none or orientation_of(image) == 1


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
    options = _jpeg_options(image)
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
    mode = "L" if is_grey else "RGB"
    if picture.mode != mode:
        picture = picture.convert(mode)
    elif picture is image:
        picture = picture.copy()
    picture.info = {}
    if not is_lossy:
        encoded = _saved(picture, "PNG")
        if len(encoded) <= _MAX_PNG_BYTES:
            return NormalPicture(encoded, "PNG", True, is_invisible)
    encoded = _saved(picture, "JPEG", **options)
    return NormalPicture(encoded, "JPEG", True, is_invisible)


def _jpeg_options(image: Image.Image) -> dict[str, object]:
    """How a picture is encoded as JPEG: with the tables of its own file where that loses least.

    A turned JPEG whose blocks stay whole has the same coefficients in other places, so its own
    quantisation, turned alike, halves the loss of quality 95 and keeps the file's size.
    """
    sampling = _sampling(image)
    tables = _own_tables(image)
    if tables is None:
        return {"quality": _JPEG_QUALITY, "subsampling": sampling}
    return {"qtables": tables, "subsampling": sampling}


def _own_tables(image: Image.Image) -> list[list[int]] | None:
    """Quantisation of a JPEG that is turned in whole blocks and nothing else; None otherwise."""
    if image.format not in ("JPEG", "MPO") or image.info.get("icc_profile"):
        return None
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    is_usual = sorted(tables) == {"L": [0], "RGB": [0, 1]}.get(image.mode)
    if not is_usual or any(side % _WHOLE_BLOCKS_PX for side in image.size):
        return None
    if any(len(table) != 64 or max(table) > 255 for table in tables.values()):
        return None
    is_on_its_side = orientation_of(image) >= 5
    return [
        [table[8 * (at % 8) + at // 8] for at in range(64)] if is_on_its_side else list(table)
        for _, table in sorted(tables.items())
    ]


def _sampling(image: Image.Image) -> int:
    """Chroma subsampling that loses nothing against the file's own: 4:2:0 stays, others 4:4:4."""
    if image.format not in ("JPEG", "MPO"):
        return 0
    return 2 if JpegImagePlugin.get_sampling(image) == 2 else 0


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
