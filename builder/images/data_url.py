"""Images as endpoints accept them: `data:` URLs, scaled down if a side is too long."""

import base64
from io import BytesIO
from typing import Literal

from schemas.pictures import read_picture

#: Above this many bytes an image is re-encoded even when its sides are short enough.
MAX_BYTES_AS_IS = 4_000_000


def encoded(data: bytes, media_type: str) -> str:
    """The bytes as a `data:` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def needs_scaling(width: int, height: int, num_bytes: int, max_side_px: int) -> bool:
    return max(width, height) > max_side_px or num_bytes > MAX_BYTES_AS_IS


def sent_size(width: float, height: float, max_side_px: int) -> tuple[int, int]:
    """Width and height in which an image is sent; never below one pixel, whatever the aspect."""
    shrink = min(1.0, max_side_px / max(width, height))
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def scaled(data: bytes, max_side_px: int) -> bytes:
    """JPEG of at most `max_side_px` per side, upright, transparency on white, without metadata."""
    buffer = BytesIO()
    read_picture(data, max_side_px=max_side_px).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


#: What every server that reads images takes.
CommonFormat = Literal["image/jpeg", "image/png"]


def media_type(url: str) -> str:
    """The media type of a `data:` URL."""
    return url[len("data:") : url.index(";")]


def recoded(url: str, wanted: CommonFormat, max_side_px: int | None = None) -> str:
    """The same picture as a JPEG or PNG, upright, transparency on white, without metadata.

    Args:
        url: A `data:` URL.
        wanted: Its new media type.
        max_side_px: Reduced to it, if larger.
    """
    picture = read_picture(base64.b64decode(url.partition(",")[2]), max_side_px=max_side_px)
    buffer = BytesIO()
    if wanted == "image/png":
        picture.save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", quality=92)
    return encoded(buffer.getvalue(), wanted)
