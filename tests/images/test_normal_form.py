"""Stored pictures look the same to every reader and carry nothing but pixels."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageOps, PngImagePlugin

from builder.config import ImagesConfig
from builder.images.normal.containers import clean_gif, clean_png, clean_webp
from builder.images.normal.jpeg import clean_jpeg
from builder.images.vetting import ImageRefusedError, Vetted, vet
from schemas.pictures import read_picture
from tests.images.photos import photos

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the metadata

SECRET = b"N 52.5163 E 13.3777 serial 8817 Jane Doe"
LIMITS = ImagesConfig()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(width: int = 120, height: int = 80) -> Image.Image:
    """Unlike itself however it is turned."""
    image = Image.new("RGB", (width, height), "skyblue")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, height * 3 // 4, width, height), fill="darkgreen")
    pen.rectangle((0, 0, width // 4, height // 3), fill="orange")
    return image


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = SECRET.decode()
    tags.get_ifd(0x8825)[2] = (52.0, 30.0, 58.7)
    return tags.tobytes()


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(picture: Image.Image | None = None, **options: object) -> bytes:
    return encoded(picture or scene(), "JPEG", quality=90, **options)


def png_with_texts(image: Image.Image) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_text("Raw profile type exif", SECRET.decode(), zip=True)
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    return encoded(image, "PNG", pnginfo=info, exif=exif())


def shown(data: bytes) -> np.ndarray:
    """What a reader sees that knows nothing of orientation, profiles or transparency."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def difference(data: bytes, expected: Image.Image) -> float:
    return float(np.abs(shown(data) - np.asarray(expected.convert("RGB")).astype(int)).mean())


WITH_METADATA: dict[str, Callable[[], bytes]] = {
    "JPEG EXIF": lambda: jpeg(exif=exif()),
    "JPEG XMP": lambda: jpeg(xmp=SECRET),
    "JPEG comment": lambda: jpeg(comment=SECRET),
    "JPEG IPTC": lambda: jpeg()[:2] + segment(0xED, b"Photoshop 3.0\0" + SECRET) + jpeg()[2:],
    "JPEG maker's segment": lambda: jpeg()[:2] + segment(0xE7, SECRET) + jpeg()[2:],
    "JPEG thumbnail": lambda: (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\4\4" + (SECRET + bytes(48))[:48])
        + jpeg()[20:]
    ),
    "JPEG tail": lambda: jpeg() + b"PK\3\4" + SECRET,
    "JPEG progressive": lambda: jpeg(exif=exif(), progressive=True),
    "JPEG with restarts": lambda: jpeg(exif=exif(), restart_marker_blocks=2),
    "JPEG grey": lambda: jpeg(scene().convert("L"), exif=exif()),
    "MPO": lambda: encoded(
        scene(), "MPO", save_all=True, append_images=[scene()], exif=exif(), quality=90
    ),
    "PNG texts": lambda: png_with_texts(scene()),
    "PNG palette": lambda: png_with_texts(scene().quantize(8)),
    "PNG tail": lambda: encoded(scene(), "PNG") + SECRET,
    "WebP EXIF": lambda: encoded(scene(), "WEBP", lossless=True, exif=exif(), xmp=SECRET),
    "WebP lossy": lambda: encoded(scene(), "WEBP", quality=95, exif=exif()),
    "WebP opaque alpha": lambda: encoded(
        scene().convert("RGBA"), "WEBP", lossless=True, exif=exif()
    ),
    "GIF comment": lambda: encoded(scene().quantize(8), "GIF", comment=SECRET),
    "TIFF": lambda: encoded(scene(), "TIFF", exif=exif(), description=SECRET.decode()),
    "BMP": lambda: encoded(scene(), "BMP") + SECRET,
}


@pytest.mark.parametrize("name", WITH_METADATA)
def test_no_metadata_is_stored_and_the_picture_stays(name: str) -> None:
    data = WITH_METADATA[name]()
    kept = vet(data, LIMITS)
    for secret in (SECRET, SECRET[:12], b"Exif", b"http://ns.adobe.com", b"GPS"):
        assert secret not in kept.data
    with Image.open(io.BytesIO(kept.data)) as image:
        assert not image.getexif()
        assert set(image.info) <= {
            *("jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"),
            *("version", "background", "adobe", "adobe_transform", "extension", "duration"),
            *("loop", "timestamp", "mp"),
        }
        assert (image.format, image.size) == (kept.format, (120, 80))
    expected = scene().convert("L") if name == "JPEG grey" else scene()
    assert difference(kept.data, expected) < (3 if name[:4] in ("JPEG", "MPO", "WebP") else 1.5)
    assert vet(kept.data, LIMITS).data == kept.data, "the normal form of a normal form is itself"


@pytest.mark.parametrize("name", [name for name in WITH_METADATA if name.startswith("JPEG")])
def test_the_scan_of_an_upright_jpeg_is_not_encoded_again(name: str) -> None:
    data = WITH_METADATA[name]()
    kept = vet(data, LIMITS)
    assert not kept.is_encoded
    scan = data[data.index(b"\xff\xda") : data.rindex(b"\xff\xd9")]
    if name != "JPEG tail":
        assert scan in kept.data
    assert (shown(data) == shown(kept.data)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_pictures_are_stored_upright(kind: str, orientation: int) -> None:
    """Cases build/08 and use/03."""
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(scene().transpose(turned), kind, exif=exif(orientation), **options)
    kept = vet(data, LIMITS)
    assert (kept.width, kept.height) == (120, 80)
    assert difference(kept.data, scene()) < 3
    assert kept.original_format == kind
    # The phone's picture and one taken upright are one thing to every later step.
    assert kept.phash == vet(encoded(scene(), "PNG"), LIMITS).phash


def broken_exif() -> dict[str, bytes]:
    """Case build/07: metadata that some readers stumble over, pixels that all can read."""

    def tiff(*entries: bytes) -> bytes:
        head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
        return b"Exif\0\0" + head + b"".join(entries) + bytes(12)

    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack("<HHI", tag, kind, count) + value

    turned = entry(0x0112, 3, 1, struct.pack("<HH", 6, 0))
    return {
        "signed rational as a short": tiff(turned, entry(0x0128, 10, 1, struct.pack("<I", 38))),
        "rational over zero": tiff(turned, entry(0x011A, 5, 1, struct.pack("<I", 38))),
        "orientation as text": tiff(entry(0x0112, 2, 4, b"top\0")),
        "pointer into nowhere": tiff(turned, entry(0x8769, 4, 1, struct.pack("<I", 0xFFFFFFF0))),
        "garbage": b"Exif\0\0" + b"garbage " * 4,
        "cut short": b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        "gps as text": tiff(turned, entry(0x8825, 2, 4, b"abc\0")),
    }


@pytest.mark.parametrize("size", [(200, 150), (1600, 1200)])
@pytest.mark.parametrize("name", broken_exif())
def test_readers_that_turn_pictures_find_nothing_to_stumble_over(
    name: str, size: tuple[int, int]
) -> None:
    data = jpeg(scene(*size))
    kept = vet(data[:2] + segment(0xE1, broken_exif()[name]) + data[2:], LIMITS)
    with Image.open(io.BytesIO(kept.data)) as image:
        assert not image.getexif()
        before = image.size
        assert ImageOps.exif_transpose(image).size == before


def profile(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def swapped_profile() -> bytes:
    """An sRGB profile whose red and blue are exchanged: plainly another space."""
    data = bytearray(profile("sRGB"))
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def test_srgb_profiles_go_and_others_are_converted() -> None:
    plain = vet(jpeg(icc_profile=profile("sRGB")), LIMITS)
    assert not plain.is_encoded
    assert (shown(plain.data) == shown(jpeg())).all()
    for kind in ("JPEG", "PNG"):
        kept = vet(encoded(scene(), kind, icc_profile=swapped_profile()), LIMITS)
        assert kept.is_encoded
        with Image.open(io.BytesIO(kept.data)) as image:
            assert "icc_profile" not in image.info
        exchanged = Image.merge("RGB", scene().split()[::-1])
        assert difference(kept.data, exchanged) < 6
    damaged = vet(jpeg(icc_profile=b"no profile" * 20), LIMITS)
    assert (shown(damaged.data) == shown(jpeg())).all()


def test_deep_cmyk_and_transparent_pictures_are_converted() -> None:
    ramp = np.linspace(0, 65_535, 120 * 80).reshape(80, 120).astype(np.uint16)
    eight = Image.fromarray((ramp >> 8).astype(np.uint8))
    for kind in ("PNG", "TIFF"):
        kept = vet(encoded(Image.fromarray(ramp), kind), LIMITS)
        assert difference(kept.data, eight) <= 1
    cmyk = vet(jpeg(scene().convert("CMYK")), LIMITS)
    assert difference(cmyk.data, scene()) < 8
    with Image.open(io.BytesIO(cmyk.data)) as image:
        assert image.mode == "RGB"
    clear = scene().convert("RGBA")
    clear.paste((200, 0, 0, 0), (60, 0, 120, 80))
    expected = scene()
    expected.paste("white", (60, 0, 120, 80))
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("GIF", {})):
        kept = vet(encoded(clear, kind, **options), LIMITS)
        assert difference(kept.data, expected) < 3, kind


def rgb16_png() -> bytes:
    """A PNG of 16 bits a channel, which Pillow can read but not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    pixels = np.asarray(scene()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 120, 80, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bits_a_channel_become_eight() -> None:
    kept = vet(rgb16_png(), LIMITS)
    assert kept.data[24] == 8
    assert difference(kept.data, scene()) == 0


def reason_of(data: bytes, limits: ImagesConfig = LIMITS) -> str:
    with pytest.raises(ImageRefusedError) as refused:
        vet(data, limits)
    return refused.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("colour", ["white", "black", "tan"])
def test_blank_pictures_are_refused(kind: str, colour: str) -> None:
    assert reason_of(encoded(Image.new("RGB", (300, 200), colour), kind)) == "blank"


def test_what_only_seems_blank_in_a_thumbnail_is_kept() -> None:
    page = Image.new("RGB", (900, 1200), "white")
    ImageDraw.Draw(page).text((400, 600), "one small word", fill="black")
    for kind in ("JPEG", "PNG"):
        assert vet(encoded(page, kind), LIMITS).width == 900


def test_transparent_pictures_are_refused() -> None:
    hidden = scene().convert("RGBA")
    hidden.putalpha(0)
    assert reason_of(encoded(hidden, "PNG")) == "transparent"
    assert reason_of(encoded(hidden, "WEBP", lossless=True, exact=True)) == "transparent"
    logo = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    logo.paste((255, 255, 255, 255), (8, 8, 56, 56))  # white on nothing
    assert reason_of(encoded(logo, "PNG")) == "blank"


def test_slivers_are_judged_by_the_size_that_is_sent() -> None:
    assert reason_of(encoded(scene(4_000, 100), "PNG")) == "sliver"  # sent as 1024 x 26
    assert vet(encoded(scene(900, 40), "PNG"), LIMITS).width == 900
    small = ImagesConfig(max_side_px=256)
    assert reason_of(encoded(scene(900, 40), "PNG"), small) == "sliver"


CLEANERS = {"JPEG": clean_jpeg, "PNG": clean_png, "WEBP": clean_webp, "GIF": clean_gif}


@pytest.mark.parametrize("name", WITH_METADATA)
def test_no_bytes_make_a_cleaner_fail_or_change_a_picture(name: str) -> None:
    data = WITH_METADATA[name]()
    rng = np.random.default_rng(0)
    for _ in range(60):
        spoilt = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            spoilt[place] = int(rng.integers(0, 256))
        spoilt = bytes(spoilt[: int(rng.integers(1, len(data) + 1))])
        for clean in CLEANERS.values():
            cut = clean(spoilt)
            assert cut is None or clean(cut) == cut
        try:
            kept = vet(spoilt, LIMITS)
        except ImageRefusedError:
            continue
        assert isinstance(kept, Vetted)
        assert read_picture(kept.data).size == (kept.width, kept.height)


def test_a_file_that_is_normal_stays_the_same_object() -> None:
    for data in (jpeg(), encoded(scene(), "PNG"), encoded(scene(), "WEBP")):
        assert vet(data, LIMITS).data is data


def test_a_turned_jpeg_of_whole_blocks_keeps_its_own_quantisation() -> None:
    """Turned, the same coefficients stand elsewhere: less is lost than at quality 95."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    photos()[0].resize((160, 96)).save(buffer, "JPEG", quality=80, exif=exif)
    seen = read_picture(buffer.getvalue())
    stored = vet(buffer.getvalue(), LIMITS).data
    other = io.BytesIO()
    seen.save(other, "JPEG", quality=95)
    lost, lost_at_95 = (
        float(np.abs(np.asarray(read_picture(data), dtype=float) - np.asarray(seen)).mean())
        for data in (stored, other.getvalue())
    )
    assert seen.size == (96, 160)
    assert lost < 0.7 * lost_at_95
    assert len(stored) < 1.05 * len(buffer.getvalue())
