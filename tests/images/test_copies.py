"""Copies share a group however they came, and images that were there before keep theirs."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from builder.config import ImagesConfig
from builder.images.calibration import window_of
from builder.images.copies import join_copies
from builder.images.efficientnet import EfficientNetEmbedder
from builder.images.embedders import load_embedder
from builder.images.index import index_images
from builder.images.store import ImageStore
from builder.images.vectors import embed_images
from tests.images.photos import photos

DESCRIPTOR = ImagesConfig(embedder="descriptor")


def png(image: Image.Image) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()


def photo(place: int) -> Image.Image:
    return photos()[place].resize((192, 160))


@pytest.fixture
def store(tmp_path: Path):
    with ImageStore(tmp_path / "images") as opened:
        yield opened


def groups(store: ImageStore) -> dict[str, str]:
    return {record.source: record.group for record in store.records()}


def test_a_copy_joins_the_group_of_the_image_that_was_there_first(store: ImageStore) -> None:
    store.add(png(photo(0)), source="first", group="a")
    store.add(png(photo(6)), source="other", group="b")
    summary = join_copies(store, DESCRIPTOR)
    assert (summary.num_compared, summary.num_joined) == (2, 0)
    copy = ImageOps.mirror(photo(0)).resize((120, 100))
    store.add(png(copy), source="copy", group="c")
    assert join_copies(store, DESCRIPTOR).num_joined == 1
    assert groups(store) == {"first": "a", "other": "b", "copy": "a"}
    assert join_copies(store, DESCRIPTOR).num_compared == 0


def test_a_picture_that_ties_two_groups_makes_them_one(store: ImageStore) -> None:
    left, right = photo(0).crop((0, 0, 182, 160)), photo(0).crop((10, 0, 192, 160))
    for source, image in (("left", left), ("right", right), ("other", photo(11))):
        store.add(png(image), source=source, group=source)
    join_copies(store, DESCRIPTOR)
    assert len(set(groups(store).values())) == 3
    store.add(png(photo(0)), source="whole", group="whole")
    join_copies(store, DESCRIPTOR)
    after = groups(store)
    assert len({after[name] for name in ("left", "right", "whole")}) == 1
    assert after["other"] == "other"


@pytest.mark.usefixtures("one_thread")
def test_a_vision_model_finds_copies_that_were_cropped_more(store: ImageStore) -> None:
    config = ImagesConfig(embedder="auto")
    for place in range(12):
        store.add(png(photos()[place]), source=str(place), group=str(place))
    width, height = photos()[0].size
    corner = photos()[0].crop((0, 0, round(0.92 * width), round(0.92 * height)))
    store.add(png(ImageOps.mirror(corner)), source="corner", group="corner")
    join_copies(store, config)
    joined = groups(store)
    assert joined["corner"] == joined["0"]
    assert len(set(joined.values())) == 12


def test_images_of_a_build_that_began_stay_in_their_groups(store: ImageStore) -> None:
    first = store.add(png(photo(0)), source="one", group="one")
    second = store.add(png(photo(0).resize((120, 100))), source="two", group="two")
    join_copies(store, DESCRIPTOR, settled={first.name, second.name})
    assert groups(store) == {"one": "one", "two": "two"}
    store.add(png(photo(0).resize((96, 80))), source="three", group="three")
    join_copies(store, DESCRIPTOR, settled={first.name, second.name})
    assert len(set(groups(store).values())) < 3


def test_pictograms_keep_their_groups(store: ImageStore) -> None:
    store.add(png(photo(0)), source="one", group="pictogram:one")
    store.add(png(photo(0).resize((120, 100))), source="two", group="pictogram:two")
    assert join_copies(store, DESCRIPTOR).num_compared == 0


@pytest.mark.usefixtures("one_thread")
def test_the_window_is_calibrated_once_and_kept(store: ImageStore) -> None:
    for place in range(12):
        store.add(png(photo(place)), source=str(place), group=str(place))
    embedder = EfficientNetEmbedder()
    index = index_images(store, 0.0)
    vectors = embed_images(store, index.sha256, embedder)
    least, greatest = window_of(store, index, vectors, embedder, 4)
    similar = (vectors.astype(np.int64) @ vectors.T.astype(np.int64)) / 2048**2
    others = similar[~np.eye(12, dtype=bool)]
    assert np.quantile(others, 0.7) < least < greatest < 1
    assert (others < greatest).mean() > 0.95  # of these, only quarters of one photograph are alike
    store.add(png(photo(20)), source="later")
    later = index_images(store, 0.0)
    assert window_of(store, later, vectors[:0], embedder, 4) == (least, greatest)


def test_auto_takes_the_vision_model_for_photos_and_stays_with_it(store: ImageStore) -> None:
    store.add(png(photo(0)), group="pictogram:one")
    assert load_embedder("auto", store).name == "descriptor-1"
    with ImageStore(store.directory.parent / "photos") as own:
        own.add(png(photo(1)))
        assert load_embedder("auto", own).name == "efficientnet-lite0"
        own.add(png(photo(2)), group="pictogram:two")
        assert load_embedder("auto", own).name == "efficientnet-lite0"
