"""Image bytes to the upright RGB picture that a person sees, one way for all of polyscene.

The file stands alone, for exported models carry a copy: Pillow and the
standard library only.
"""

from array import array
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO

from PIL import ExifTags, Image

#: Width times height of the largest picture that is decoded: 61-megapixel cameras are within.
MAX_PICTURE_PIXELS = 64_000_000
#: No other decoder of Pillow is ever run.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

_TOP_16_BIT = 65_535
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(ValueError):
    """Bytes that are not a picture to be decoded: damaged, of another format, or too large.

    Args:
        what: What is wrong, as a clause.
        size: Width and height in pixels, where it is too large.
    """

    def __init__(self, what: str, size: tuple[int, int] | None = None) -> None:
        self.what = what
        self.size = size
        super().__init__(what)


def read_picture(
    data: bytes, *, max_side_px: int | None = None, keep_transparency: bool = False
) -> Image.Image:
    """The picture as it is meant to be seen, mode "RGB", without metadata.

    Upright by its EXIF orientation, first frame only, transparency on white,
    16-bit greyscale scaled to 8 bits, CMYK converted.

        picture = read_picture(data, max_side_px=1024)

    Args:
        data: A whole file: JPEG, PNG, WebP, GIF, BMP or TIFF.
        max_side_px: Larger pictures are reduced to it; JPEGs decode the faster for it.
        keep_transparency: Returns "RGBA" where the picture has transparent parts.

    Raises:
        PictureError: It cannot be decoded, or has more than `MAX_PICTURE_PIXELS`.
    """
    with open_picture(data) as image:
        try:
            if max_side_px is not None:
                image.draft("RGB", (max_side_px, max_side_px))
            if keep_transparency and has_transparency(image):
                image.load()
                shown = _straight(upright(image, orientation_of(image))).convert("RGBA")
            else:
                shown = as_upright_rgb(image)
            if shown is image:
                shown = image.copy()
            shown.info = {}
            if max_side_px is not None:
                shown.thumbnail(
                    (max_side_px, max_side_px), Image.Resampling.LANCZOS, reducing_gap=3.0
                )
        except Exception as exc:  # decoders raise nearly anything on hostile bytes
            raise PictureError(f"its pixels cannot be decoded ({type(exc).__name__})") from exc
        return shown


@contextmanager
def open_picture(data: bytes) -> Generator[Image.Image, None, None]:
    """The picture with its header read and no pixel decoded, bound and formats checked.

    Raises:
        PictureError: Not of these formats, or more than `MAX_PICTURE_PIXELS`.
    """
    declared = declared_size(data)
    if declared:  # before Pillow opens it: its WebP reader sets up a canvas at once
        _check_pixels(declared)
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise PictureError(f"it has more than {MAX_PICTURE_PIXELS:,} pixels") from exc
    except Exception as exc:  # as above
        what = "no picture" if data else "0 bytes"
        raise PictureError(f"{what}: not JPEG, PNG, WebP, GIF, BMP or TIFF, or damaged") from exc
    with image:
        _check_pixels(image.size)
        yield image


def as_upright_rgb(image: Image.Image) -> Image.Image:
    """An opened picture as `read_picture` gives it, but for bound, size and metadata.

    Damaged EXIF counts as none, where `ImageOps.exif_transpose` would raise.
    """
    image.load()  # before the orientation is asked for: TIFF turns itself when it is decoded
    return on_white(upright(image, orientation_of(image)))


def on_white(image: Image.Image) -> Image.Image:
    """The picture as opaque "RGB": transparency on white, 16 bits and more scaled to 8."""
    if _is_deep(image):
        return _eight_bits(image).convert("RGB")
    if has_transparency(image):
        rgba = _straight(image).convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def declared_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from a PNG or WebP header, or None when it is neither."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") for at in (26, 28))
        return width & 0x3FFF, height & 0x3FFF
    return None


def _check_pixels(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PICTURE_PIXELS:
        raise PictureError(
            f"{size[0]:,} x {size[1]:,} px, the limit is {MAX_PICTURE_PIXELS:,} pixels", size
        )


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or it means nothing.

    Unlike `ImageOps.exif_transpose`, damaged metadata counts as none.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # metadata is hostile too; the pixels may be sound
        return 1
    return orientation if isinstance(orientation, int) and orientation in _TURNS else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture turned as an EXIF orientation asks."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _is_deep(image: Image.Image) -> bool:
    """Whether it is greyscale of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def has_transparency(image: Image.Image) -> bool:
    """Whether it may have transparent parts: by its mode, or a colour marked as such."""
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        return True
    return "transparency" in image.info and not _is_deep(image)


def _straight(image: Image.Image) -> Image.Image:
    """Without premultiplied alpha in grey, which Pillow converts to "LA" only."""
    return image.convert("LA") if image.mode == "La" else image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Integer or float greyscale as "L", scaled rather than clipped.

    The white of integers is 65,535, or 255 where no pixel is brighter than
    that; the white of floats may also be 1. Wider ranges end at their
    brightest pixel.
    """
    if image.mode not in ("I", "F"):
        image = image.convert("I")
    brightest = image.getextrema()[1]
    assert isinstance(brightest, int | float)
    scale = 1.0
    if image.mode == "F" and 0 < brightest <= 1:
        scale = float(_TOP_16_BIT)
    elif brightest > _TOP_16_BIT:
        scale = _TOP_16_BIT / brightest
    white = 255 if brightest <= 255 and scale == 1 else _TOP_16_BIT
    if scale != 1:
        image = image.point(lambda value: value * scale + 0)
    table = _to_eight_bits(white)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int) and 0 <= transparent <= _TOP_16_BIT:
        table = [*table[:transparent], 255, *table[transparent + 1 :]]
    return image.convert("I").point(table, "L")


@lru_cache(2)
def _to_eight_bits(white: int) -> list[int]:
    """Table of all 16-bit values; in float32, as numpy has it, so that all parts agree exactly."""
    shares = array("f", (value / white for value in range(_TOP_16_BIT + 1)))
    return [min(255, int(value)) for value in array("f", (share * 255 for share in shares))]
