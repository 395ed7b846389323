"""Every kind of bad image is refused for its own reason, and fit ones are not."""

import zlib
from io import BytesIO

import pytest
from PIL import Image
from pydantic import ValidationError

from builder.config import ImagesConfig
from builder.images.fingerprint import difference_hash
from builder.images.vetting import ImageRefusedError, vet
from schemas.pictures import MAX_PICTURE_PIXELS

LIMITS = ImagesConfig()


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG header for a picture of that size, with next to no data."""
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + (13).to_bytes(4, "big")
        + head
        + zlib.crc32(head).to_bytes(4, "big")
        + b"\0\0\0\0IDAT"
    )


def reason_of(data: bytes, limits: ImagesConfig = LIMITS) -> str:
    with pytest.raises(ImageRefusedError) as refused:
        vet(data, limits)
    assert refused.value.reason in str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_accepts_the_formats_that_endpoints_read(noise, format):
    vetted = vet(noise(1, format), LIMITS)
    assert (vetted.format, vetted.width, vetted.height) == (format, 96, 64)
    assert len(vetted.phash) == 16


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "I;16"])
def test_accepts_every_colour_mode(mode):
    gradient = Image.linear_gradient("L").resize((40, 40))
    picture = gradient.convert("I").point(lambda v: v * 257 + 0).convert("I;16")
    data = encode(picture if mode == "I;16" else gradient.convert(mode), "PNG")
    assert vet(data, LIMITS).format == "PNG"


def test_refuses_zero_bytes():
    assert reason_of(b"") == "empty_file"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_refuses_a_truncated_file(noise, format):
    data = noise(2, format)
    assert reason_of(data[: len(data) * 2 // 3]) == "truncated"


@pytest.mark.parametrize("data", [b"hello", b"<svg/>", b"\xff\xd8\xff", b"\0" * 1000])
def test_refuses_what_is_no_image(data):
    assert reason_of(data) in {"unreadable", "truncated"}


def test_refuses_a_decompression_bomb_from_its_header_alone():
    assert reason_of(png_claiming(20_000, 20_000)) == "too_many_pixels"


def test_refuses_a_huge_webp_before_a_canvas_is_made():
    chunk = b"VP8X" + (10).to_bytes(4, "little") + b"\0\0\0\0"
    chunk += (15_999).to_bytes(3, "little") * 2
    data = b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
    assert reason_of(data) == "too_many_pixels"


def test_pixel_limit_is_the_configured_one(noise):
    limits = ImagesConfig(max_image_pixels=96 * 64 - 1)
    assert reason_of(noise(3), limits) == "too_many_pixels"
    assert reason_of(noise(3, "JPEG"), limits) == "too_many_pixels"


def test_refuses_too_small_and_too_many_bytes(noise):
    assert reason_of(noise(4, size=(96, 16))) == "too_small"
    assert reason_of(noise(4), ImagesConfig(max_image_bytes=100)) == "too_many_bytes"


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF"])
def test_refuses_animations(format):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    assert reason_of(data) == "animated"


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_other_lossless_formats_are_stored_as_png(noise, kind):
    vetted = vet(noise(5, kind), LIMITS)
    assert (vetted.format, vetted.original_format) == ("PNG", kind)


def test_formats_that_are_not_read_are_named(noise):
    assert reason_of(noise(5, "AVIF")) == "unsupported_format"
    assert reason_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)) == "unsupported_format"
    with pytest.raises(ImageRefusedError, match="it is SVG"):
        vet(b"<?xml version='1.0'?>\n<svg><script>alert(1)</script></svg>", LIMITS)


def test_fingerprint_survives_resizing_and_re_encoding(noise):
    with Image.open(BytesIO(noise(6, "PNG", (300, 200)))) as image:
        first = difference_hash(image)
        again = encode(image.resize((150, 100)), "JPEG", quality=70)
    with Image.open(BytesIO(again)) as image:
        second = difference_hash(image)
    assert (int(first, 16) ^ int(second, 16)).bit_count() <= 3


def test_no_configuration_lets_in_what_app_and_trainer_refuse() -> None:
    assert ImagesConfig().max_image_pixels == MAX_PICTURE_PIXELS
    with pytest.raises(ValidationError, match="less than or equal to 64000000"):
        ImagesConfig(max_image_pixels=MAX_PICTURE_PIXELS + 1)
