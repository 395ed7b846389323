"""Checks whether a file's bytes are a suitable image, and brings it into the normal form."""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from PIL import Image

from builder.config import ImagesConfig
from builder.images.data_url import sent_size
from builder.images.fingerprint import difference_hash
from builder.images.normal import NormalPicture, normal_picture
from builder.images.normal.form import format_of
from schemas.errors import PolysceneError
from schemas.pictures import declared_size, on_white, read_picture

Reason = Literal[
    "empty_file",
    "too_many_bytes",
    "unsupported_format",
    "unreadable",
    "too_many_pixels",
    "too_small",
    "sliver",
    "animated",
    "truncated",
    "blank",
    "transparent",
    "unsafe_image",
    "link_leaves_folder",
    "not_a_file",
    "unsafe_name",
    "duplicate_name",
    "invalid_url",
    "private_host",
    "robots",
    "http_error",
    "no_answer",
    "worker_crashed",
]

#: Formats that endpoints and viewers read directly, with the extension we give them.
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
#: Formats that are read too, and stored as one of the above.
_CONVERTED = ("BMP", "TIFF")
#: Formats recognised only to name them in a refusal; no other decoder of Pillow is run.
_RECOGNISED = ("AVIF", "ICO")
#: Words in the errors of Pillow's decoders for a file that ends too early.
_TRUNCATED = ("truncated", "broken data stream", "not enough image data", "unexpected end")
#: A picture whose values are all within this many of 255 shows nothing.
_BLANK_RANGE = 8
#: JPEGs are decoded to about this size for hashing: every byte read, fewer pixels computed.
_DRAFT_SIDE_PX = 64


class ImageRefusedError(PolysceneError):
    """An image is not suitable for the corpus.

    Args:
        reason: Short code, by which refusals are counted.
        what: The same for people, with numbers.
    """

    def __init__(self, reason: Reason, what: str) -> None:
        self.reason: Reason = reason
        self.what = what
        super().__init__(f"image refused ({reason}): {what}")


@dataclass(frozen=True, slots=True)
class Vetted:
    """A suitable image in the normal form, and facts about it.

    Args:
        format: Of the normal form, as width, height and hash.
        data: The normal form's bytes; those that came where they were normal already.
        is_encoded: Whether its pixels had to be encoded again.
        original_format: Format of the file that came, and its size in pixels.
    """

    format: str
    width: int
    height: int
    phash: str
    data: bytes = b""
    is_encoded: bool = False
    original_format: str = ""
    original_width: int = 0
    original_height: int = 0


def vet(data: bytes, limits: ImagesConfig) -> Vetted:
    """Checks an image from its bytes; pixels are decoded only once the header is acceptable.

    Args:
        data: The whole file.
        limits: Limits on bytes, pixels and sides.

    Raises:
        ImageRefusedError: It is not suitable; `reason` says why.
    """
    if not data:
        raise ImageRefusedError("empty_file", "it has 0 bytes")
    if len(data) > limits.max_image_bytes:
        raise ImageRefusedError(
            "too_many_bytes", f"{len(data):,} bytes, the limit is {limits.max_image_bytes:,}"
        )
    declared = declared_size(data)
    if declared:  # before Pillow opens it, since its WebP reader allocates a canvas at once
        _check_pixels(*declared, limits)
    if data[8:12] == b"WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise ImageRefusedError("truncated", "the file is shorter than its header says")
    with _open(data) as image:
        _check_header(image, limits)
        kind, size = format_of(image), image.size
        try:
            normal = normal_picture(image, data)
            if normal.data is data:
                found = image.size, *_hash_and_range(image)
            else:  # what is stored is what must decode
                found = _measured(normal)
        except Exception as exc:  # decoders can raise anything on hostile bytes
            raise _undecodable(exc) from exc
    if normal.is_invisible:
        raise ImageRefusedError("transparent", "every pixel is fully transparent")
    (width, height), phash, value_range = found
    if value_range <= _BLANK_RANGE and _is_blank(normal.data, limits.max_side_px):
        raise ImageRefusedError("blank", "all of it has one colour (transparency is white)")
    return Vetted(normal.format, width, height, phash, normal.data, normal.is_encoded, kind, *size)


def measured(normal: NormalPicture) -> Vetted:
    """Facts about a picture in normal form, without asking whether it is suitable."""
    (width, height), phash, _ = _measured(normal)
    return Vetted(normal.format, width, height, phash, normal.data, normal.is_encoded)


def _check_header(image: Image.Image, limits: ImagesConfig) -> None:
    _check_pixels(image.width, image.height, limits)
    kind = format_of(image)
    if kind not in EXTENSIONS and kind not in _CONVERTED:
        raise ImageRefusedError(
            "unsupported_format", f"{kind} is not JPEG, PNG, WebP, GIF, TIFF or BMP; convert it"
        )
    size = f"{image.width} x {image.height} px"
    if min(image.size) < limits.min_side_px:
        raise ImageRefusedError(
            "too_small", f"{size}, each side needs at least {limits.min_side_px}"
        )
    width, height = sent_size(*image.size, limits.max_side_px)
    if min(width, height) < limits.min_side_px:
        raise ImageRefusedError(
            "sliver",
            f"{size}; a model is sent {width} x {height} px of it, and each side needs at least "
            f"{limits.min_side_px}",
        )
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ImageRefusedError("animated", "it has more than one frame")


def _measured(normal: NormalPicture) -> tuple[tuple[int, int], str, int]:
    with Image.open(BytesIO(normal.data), formats=tuple(EXTENSIONS)) as image:
        return image.size, *_hash_and_range(image)


def _hash_and_range(image: Image.Image) -> tuple[str, int]:
    """Perceptual hash, and how far the values of a colour lie apart at most."""
    image.draft("RGB", (_DRAFT_SIDE_PX, _DRAFT_SIDE_PX))  # JPEG only
    shown = on_white(_loaded(image))
    return difference_hash(shown), _value_range(shown)


def _loaded(image: Image.Image) -> Image.Image:
    image.load()
    return image


def _value_range(picture: Image.Image) -> int:
    return max(high - low for low, high in _extrema(picture))


def _extrema(picture: Image.Image) -> list[tuple[int, int]]:
    found = picture.getextrema()
    return [found] if isinstance(found[0], int) else list(found)  # pyright: ignore[reportReturnType]


def _is_blank(data: bytes, max_side_px: int) -> bool:
    """Whether a picture shows nothing at the size a model is sent."""
    return _value_range(read_picture(data, max_side_px=max_side_px)) <= _BLANK_RANGE


def _undecodable(exc: Exception) -> ImageRefusedError:
    text = str(exc).lower()
    reason: Reason = "truncated" if any(word in text for word in _TRUNCATED) else "unreadable"
    return ImageRefusedError(reason, f"its pixels cannot be decoded ({exc})")


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=(*EXTENSIONS, *_CONVERTED, *_RECOGNISED))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise ImageRefusedError("too_many_pixels", " ".join(str(exc).split())) from exc
    except Exception as exc:  # as above
        named = _named_by_signature(data)
        if named is not None:
            raise named from exc
        raise ImageRefusedError(
            "unreadable", f"no image format is recognised ({type(exc).__name__})"
        ) from exc


def _named_by_signature(data: bytes) -> ImageRefusedError | None:
    """A refusal that names the format, where people have such files."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return ImageRefusedError("unsupported_format", "it is HEIC; convert it to JPEG")
    start = data[:1_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in data[:5_000].lower():
        return ImageRefusedError("unreadable", "it is SVG, which is a document, not pixels")
    return None


def _check_pixels(width: int, height: int, limits: ImagesConfig) -> None:
    if width * height > limits.max_image_pixels:
        raise ImageRefusedError(
            "too_many_pixels",
            f"{width:,} x {height:,} px, the limit is {limits.max_image_pixels:,} pixels",
        )
