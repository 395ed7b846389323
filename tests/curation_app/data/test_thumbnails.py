"""Thumbnails are small WebPs of whatever can be decoded; everything else is said in words."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation_app.data.thumbnails import MAX_SIDE_PX, ImageProblem, Thumbnails, make_thumbnail
from curation_app.data.version import VersionDataset, open_dataset
from tests.curation_app.tiny_release import draw, tiny_samples, write_release


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_large_images_shrink_and_keep_their_shape() -> None:
    thumbnail = make_thumbnail(encoded(Image.new("RGB", (3000, 1500), "teal"), "JPEG"))
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert (image.format, image.size) == ("WEBP", (MAX_SIDE_PX, MAX_SIDE_PX // 2))


def test_small_images_keep_size_and_transparency() -> None:
    with Image.open(io.BytesIO(make_thumbnail(draw(4)))) as image:
        assert image.size == (160, 160)
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0


def test_photos_stand_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    photo = encoded(Image.new("RGB", (80, 40), "navy"), "JPEG", exif=exif)
    with Image.open(io.BytesIO(make_thumbnail(photo))) as image:
        assert image.size == (40, 80)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "Cannot be read"),
        (b"not an image", "Cannot be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "Cannot be read"),
        (draw(1)[:200], "Cannot be read"),
        (png_header(9_000, 9_000), "Too large to show: 9000 × 9000"),
        (png_header(20_000, 20_000), "Too large to show"),
    ],
)
def test_what_cannot_be_shown_says_why(data: bytes, problem: str) -> None:
    with pytest.raises(ImageProblem, match=problem):
        make_thumbnail(data)


def test_the_images_of_a_row_are_named_by_place(dataset: VersionDataset) -> None:
    thumbnails = Thumbnails()
    row = dataset.load(int(np.flatnonzero(dataset.matching(language="en", modality="I->I"))[0]))
    shown = {place: thumbnails.of_row(row, place) for place in ("query", "positive", "negative-0")}
    assert len(set(shown.values())) == 3
    assert thumbnails.of_row(row, "query") is shown["query"]  # kept, not made again
    for place in ("negative-1", "negative--1", "negative-x", "../query", ""):
        with pytest.raises(ImageProblem, match="no image there"):
            thumbnails.of_row(row, place)


def test_other_bytes_under_a_published_name_are_not_shown(tmp_path: Path) -> None:
    samples, images = tiny_samples()
    chosen = next(sample for sample in samples if sample.query_image)
    assert chosen.query_image is not None
    swapped = {**images, chosen.query_image: draw(999)}
    row = open_dataset(str(write_release(tmp_path, [chosen], swapped))).load(0)
    with pytest.raises(ImageProblem, match="checksum differs"):
        Thumbnails().of_row(row, "query")


def test_little_is_kept_in_memory(dataset: VersionDataset) -> None:
    thumbnails = Thumbnails(max_kept_bytes=2_000)
    row = dataset.load(int(np.flatnonzero(dataset.matching(language="en", modality="I->I"))[0]))
    sizes = [len(thumbnails.of_row(row, place)) for place in ("query", "positive", "negative-0")]
    assert sum(sizes) > 2_000
    assert thumbnails._kept.currsize <= 2_000
    assert len(Thumbnails(max_kept_bytes=1).of_row(row, "query")) == sizes[0]


def test_dark_16_bit_greyscale_is_shown_as_dark_grey() -> None:
    grey = np.where(np.arange(100 * 80).reshape(80, 100) % 100 < 50, 12_000, 50_000)
    data = encoded(Image.fromarray(grey.astype(np.uint16)), "PNG")
    with Image.open(io.BytesIO(make_thumbnail(data))) as image:
        shown = np.asarray(image.convert("L")).astype(int)
    assert abs(shown[40, 20] - 46) < 6 and abs(shown[40, 80] - 194) < 6
