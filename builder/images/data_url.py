"""Images as endpoints accept them: `data:` URLs, scaled down if a side is too long."""

import base64
from io import BytesIO

from schemas.pictures import read_picture

#: Above this many bytes an image is re-encoded even when its sides are short enough.
MAX_BYTES_AS_IS = 4_000_000


def encoded(data: bytes, media_type: str) -> str:
    """The bytes as a `data:` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def needs_scaling(width: int, height: int, num_bytes: int, max_side_px: int) -> bool:
    return max(width, height) > max_side_px or num_bytes > MAX_BYTES_AS_IS


def scaled(data: bytes, max_side_px: int) -> bytes:
    """JPEG of at most `max_side_px` per side, upright, transparency on white, without metadata."""
    buffer = BytesIO()
    read_picture(data, max_side_px=max_side_px).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
