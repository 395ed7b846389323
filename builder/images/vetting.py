"""Checks whether a file's bytes are a suitable image; a refusal has a reason in one word."""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from PIL import Image

from builder.config import ImagesConfig
from builder.images.fingerprint import difference_hash
from schemas.errors import PolysceneError
from schemas.pictures import declared_size

Reason = Literal[
    "empty_file",
    "too_many_bytes",
    "unsupported_format",
    "unreadable",
    "too_many_pixels",
    "too_small",
    "animated",
    "truncated",
    "link_leaves_folder",
]

#: Formats that endpoints and viewers read directly, with the extension we give them.
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
#: Formats recognised only to name them in a refusal; no other decoder of Pillow is run.
_RECOGNISED = ("BMP", "TIFF", "AVIF", "ICO")
#: Words in the errors of Pillow's decoders for a file that ends too early.
_TRUNCATED = ("truncated", "broken data stream", "not enough image data", "unexpected end")


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
    """Facts about a suitable image."""

    format: str
    width: int
    height: int
    phash: str


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
        _check_pixels(image.width, image.height, limits)
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        if kind not in EXTENSIONS:
            raise ImageRefusedError(
                "unsupported_format", f"{kind} is not JPEG, PNG, WebP or GIF; convert it"
            )
        if min(image.size) < limits.min_side_px:
            raise ImageRefusedError(
                "too_small",
                f"{image.width} x {image.height} px, each side needs at least {limits.min_side_px}",
            )
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise ImageRefusedError("animated", "it has more than one frame")
        width, height = image.size
        return Vetted(kind, width, height, _decode_and_hash(image))


def _decode_and_hash(image: Image.Image) -> str:
    try:
        image.draft("RGB", (64, 64))  # JPEG only: reads every byte, computes fewer pixels
        return difference_hash(image)
    except Exception as exc:  # decoders can raise anything on hostile bytes
        text = str(exc).lower()
        reason: Reason = "truncated" if any(word in text for word in _TRUNCATED) else "unreadable"
        raise ImageRefusedError(reason, f"its pixels cannot be decoded ({exc})") from exc


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data), formats=(*EXTENSIONS, *_RECOGNISED))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise ImageRefusedError("too_many_pixels", " ".join(str(exc).split())) from exc
    except Exception as exc:  # as above
        raise ImageRefusedError(
            "unreadable", f"no image format is recognised ({type(exc).__name__})"
        ) from exc


def _check_pixels(width: int, height: int, limits: ImagesConfig) -> None:
    if width * height > limits.max_image_pixels:
        raise ImageRefusedError(
            "too_many_pixels",
            f"{width:,} x {height:,} px, the limit is {limits.max_image_pixels:,} pixels",
        )
