"""Bytes become the upright RGB picture that a person sees, the same way in every part."""

import ast
import io
import random
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from schemas import pictures
from schemas.pictures import MAX_PICTURE_PIXELS, PictureError, open_picture, read_picture

GREY_16 = np.linspace(0, 65_535, 64 * 48).reshape(48, 64).astype(np.uint16)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Unlike itself however it is turned."""
    image = Image.new("RGB", (width, height), "skyblue")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, height * 3 // 4, width, height), fill="darkgreen")
    pen.rectangle((0, 0, width // 4, height // 3), fill="orange")
    return image


def exif(orientation: object) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_turned_photo_stands_upright(kind: str, orientation: int) -> None:
    """Case use/03, for all eight orientations."""
    turn = TURNED[orientation]
    stored = scene() if turn is None else scene().transpose(turn)
    options = {"lossless": True} if kind == "WEBP" else {}
    found = read_picture(encoded(stored, kind, exif=exif(orientation), **options))
    assert found.size == (96, 64)
    assert np.abs(pixels(found) - pixels(scene())).mean() < (3 if kind == "JPEG" else 0.01)
    assert found.info == {} and not found.getexif()


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_means_nothing_is_ignored(orientation: int) -> None:
    found = read_picture(encoded(scene(), exif=exif(orientation)))
    assert (pixels(found) == pixels(scene())).all()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the metadata
def test_damaged_metadata_does_not_cost_the_picture() -> None:
    for tags in (b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b""):
        found = read_picture(encoded(scene(), "JPEG", quality=95, exif=tags))
        assert np.abs(pixels(found) - pixels(scene())).mean() < 3


def test_16_bit_greyscale_is_scaled_not_clipped() -> None:
    expected = np.repeat((GREY_16 // 257)[..., None], 3, axis=2)
    for kind, dtype in (("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2"), ("TIFF", "i4")):
        found = read_picture(encoded(Image.fromarray(GREY_16.astype(dtype)), kind))
        assert np.abs(pixels(found) - expected).max() <= 1, (kind, dtype)


def test_greyscale_of_other_ranges_is_scaled_to_its_white() -> None:
    expected = GREY_16 / 257
    for values, dtype in ((GREY_16 / 65_535, "f4"), (GREY_16 * 1.0, "f4"), (GREY_16 * 100.0, "i4")):
        found = read_picture(encoded(Image.fromarray(values.astype(dtype)), "TIFF"))
        assert np.abs(pixels(found)[..., 0] - expected).max() <= 2
    dark = Image.fromarray((GREY_16 // 257).astype(np.uint16))  # 8 bits in a 16-bit file
    assert np.abs(pixels(read_picture(encoded(dark)))[..., 0] - expected).max() <= 2


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    clear.paste((200, 0, 0, 255), (0, 0, 4, 8))
    cases = {
        "RGBA": encoded(clear),
        "LA": encoded(clear.convert("LA")),
        "WebP": encoded(clear, "WEBP", lossless=True, exact=True),
        "palette": encoded(clear.quantize(4), "PNG"),
        "GIF": encoded(clear, "GIF"),
        "colour key": encoded(keyed("RGB", (0, 0, 255)), transparency=(0, 0, 255)),
        "grey key": encoded(keyed("L", 9), transparency=9),
        "16-bit key": encoded(keyed("I;16", 9), transparency=9),
    }
    for name, data in cases.items():
        found = pixels(read_picture(data))
        assert (found[:, 4:] == 255).all(), name
        assert (found[:, :4] < 255).any(axis=2).all(), name


def keyed(mode: str, key: int | tuple[int, int, int]) -> Image.Image:
    """Left half of another colour, right half of the one that is marked as transparent."""
    image = Image.new(mode, (8, 8), key)
    image.paste({"RGB": (200, 0, 0), "L": 100, "I;16": 25_700}[mode], (0, 0, 4, 8))
    return image


def test_transparency_may_be_kept() -> None:
    clear = Image.new("RGBA", (40, 20), (200, 0, 0, 0))
    for data in (encoded(clear), encoded(clear.quantize(2)), encoded(clear.convert("LA"))):
        found = read_picture(data, max_side_px=10, keep_transparency=True)
        assert (found.mode, found.size) == ("RGBA", (10, 5))
        assert found.getpixel((0, 0))[3] == 0  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
    assert read_picture(encoded(scene()), keep_transparency=True).mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "RGBX"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "TIFF" if mode == "RGBX" else "PNG"
    image = Image.new("RGB", (16, 16), "white")
    found = pixels(read_picture(encoded(image.convert(mode), kind)))
    assert (found > 250).all()


def test_only_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert tuple(pixels(read_picture(data))[4, 4]) == (255, 0, 0), kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_reduced_picture_is_the_whole_one_made_small(kind: str) -> None:
    data = encoded(scene(1_200, 800), kind, exif=exif(6))
    small = read_picture(data, max_side_px=120)
    assert small.size == (80, 120)
    whole = read_picture(data).resize((80, 120), Image.Resampling.LANCZOS)
    assert np.abs(pixels(small) - pixels(whole)).mean() < 1.5
    assert read_picture(data, max_side_px=5_000).size == (800, 1_200)


def test_a_61_megapixel_photo_is_read() -> None:
    """Case use/07."""
    data = encoded(Image.new("RGB", (9_504, 6_336), "tan"), "JPEG", quality=30)
    found = read_picture(data, max_side_px=64)
    assert found.size == (64, 43)
    assert np.abs(pixels(found) - np.array((210, 180, 140))).max() <= 4


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels_ = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels_ + chunk(b"IEND", b"")


def webp_header(width: int, height: int) -> bytes:
    canvas = (
        struct.pack("<I", 0x10)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + canvas


def gif_header(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0" + b"," + bytes(9) + b";"


@pytest.mark.parametrize("header", [png_header, webp_header, gif_header])
@pytest.mark.parametrize("size", [(9_000, 9_000), (16_384, 16_383)])
def test_more_pixels_than_the_bound_are_refused_before_decoding(
    header: Callable[[int, int], bytes], size: tuple[int, int]
) -> None:
    with pytest.raises(PictureError, match=r"the limit is 64,000,000 pixels|more than 64,000,000"):
        read_picture(header(*size))


def test_the_bound_itself_is_allowed() -> None:
    with open_picture(png_header(8_000, 8_000)) as image:
        assert image.width * image.height == MAX_PICTURE_PIXELS
    with pytest.raises(PictureError) as refused, open_picture(png_header(8_000, 8_001)):
        pass
    assert refused.value.size == (8_000, 8_001)


def hostile_bytes() -> list[bytes]:
    rng = random.Random(0)
    whole = [encoded(scene(), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")]
    found = [b"", b"not an image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0"]
    for data in whole:
        found.append(data[: len(data) // 2])
        for _ in range(30):
            place = rng.randrange(len(data))
            found.append(data[:place] + rng.randbytes(4) + data[place + 4 :])
    return found


@pytest.mark.filterwarnings("ignore")  # Pillow's, about what it makes of hostile metadata
def test_any_bytes_give_a_picture_or_one_kind_of_error() -> None:
    problems = []
    for data in hostile_bytes():
        try:
            assert read_picture(data, max_side_px=64).mode == "RGB"
        except PictureError as exc:
            problems.append(exc.what)
    assert len(problems) > 20
    assert all(len(problem) < 120 and "\n" not in problem for problem in problems)


def test_formats_off_the_list_are_refused() -> None:
    for kind in ("PPM", "ICO", "TGA", "PCX"):
        with pytest.raises(PictureError, match="not JPEG, PNG, WebP, GIF, BMP or TIFF"):
            read_picture(encoded(scene(), kind))


def test_the_file_stands_alone() -> None:
    """An exported model carries a copy of it."""
    assert pictures.__file__ is not None
    tree = ast.parse(Path(pictures.__file__).read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"PIL"}
