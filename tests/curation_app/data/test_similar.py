"""Images that look alike are found; what is no image is left out."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation_app.data.similar import SimilarImages, SimilarityError, describe
from curation_app.data.version import VersionDataset, open_dataset
from tests.curation_app.tiny_release import add_image, draw, make_sample, write_release

TEXTS = ("one", "two", "three")


def smaller(data: bytes) -> bytes:
    """The same picture at another size and in another format."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image, mask=image.getchannel("A"))
        flat.resize((90, 90)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


@pytest.fixture
def alike(tmp_path: Path) -> tuple[VersionDataset, list[str]]:
    """Twelve drawings, a broken file, and a smaller copy of the first drawing."""
    images: dict[str, bytes] = {}
    shas = [add_image(images, draw(number)) for number in range(12)]
    shas += [add_image(images, b"no image"), add_image(images, smaller(draw(0)))]
    samples = [
        make_sample("retrieval", "I->I", "en", (shas[n], shas[n + 1], shas[n + 2]), TEXTS)
        for n in range(0, 12, 3)
    ]
    samples.append(make_sample("retrieval", "I->I", "en", (shas[13], shas[12], shas[0]), TEXTS))
    return open_dataset(str(write_release(tmp_path / "release", samples, images))), shas


def test_a_smaller_copy_is_the_nearest(alike: tuple[VersionDataset, list[str]]) -> None:
    dataset, shas = alike
    nearest = SimilarImages(dataset, None).like(shas[0], limit=3)
    assert [sha256 for sha256, _ in nearest][:2] == [shas[0], shas[13]]
    assert nearest[0][1] >= nearest[1][1] >= nearest[2][1]


def test_what_is_no_image_is_left_out(alike: tuple[VersionDataset, list[str]]) -> None:
    dataset, shas = alike
    similar = SimilarImages(dataset, None)
    assert shas[12] not in similar.prepare().sha256s and similar.is_ready
    with pytest.raises(SimilarityError, match="cannot be read"):
        similar.like(shas[12])
    assert describe(b"no image") is None


def test_a_limit_is_said_where_it_was_reached(alike: tuple[VersionDataset, list[str]]) -> None:
    dataset, _ = alike
    similar = SimilarImages(dataset, None, max_images=4)
    known = similar.prepare()
    assert len(known.sha256s) == 4 and not known.is_complete
    with pytest.raises(SimilarityError, match="not among 4"):
        similar.like("0" * 64)


def test_descriptors_are_kept_and_read_again(
    alike: tuple[VersionDataset, list[str]], tmp_path: Path
) -> None:
    dataset, _ = alike
    cache = tmp_path / "cache"
    made = SimilarImages(dataset, cache).prepare()
    [file] = cache.iterdir()
    again = SimilarImages(dataset, cache).prepare()
    assert again.sha256s == made.sha256s and np.array_equal(again.vectors_ND, made.vectors_ND)
    file.write_bytes(b"cut off")
    assert SimilarImages(dataset, cache).prepare().sha256s == made.sha256s


def test_descriptors_have_length_one() -> None:
    vector = describe(draw(5))
    assert vector is not None and np.linalg.norm(vector) == pytest.approx(1)
