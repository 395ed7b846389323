"""Copies of a picture are found however they were altered; other pictures are left alone."""

import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from builder.images.fingerprint import LOOK_BYTES, MIRROR_MASK, look_hash
from builder.images.near_duplicates import join_groups, near_duplicate_pairs
from tests.images.photos import photos


def compressed(image: Image.Image, quality: int) -> Image.Image:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    return Image.open(encoded).convert("RGB")


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)))


def cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((across, down, image.width - across, image.height - down))


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "60 % of its size": lambda image: resized(image, 0.6),
    "a quarter of its size": lambda image: resized(image, 0.25),
    "JPEG of quality 30": lambda image: compressed(image, 30),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    "cropped by 5 %": lambda image: cropped(image, 0.05),
    "mirrored": ImageOps.mirror,
    "mirrored, smaller and compressed": lambda image: compressed(
        resized(ImageOps.mirror(image), 0.7), 60
    ),
}


@pytest.fixture(scope="module")
def looks() -> np.ndarray:
    return np.stack([look_hash(photo) for photo in photos()])


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_copies_of_photos_are_found(name: str, looks: np.ndarray) -> None:
    copies = np.stack([look_hash(ALTERATIONS[name](photo)) for photo in photos()])
    both = np.concatenate([looks, copies])
    found = set(near_duplicate_pairs(both, first_new=len(looks)))
    num_found = sum((place, place + len(looks)) in found for place in range(len(looks)))
    assert num_found >= 0.95 * len(looks)


def test_different_photos_are_not_joined(looks: np.ndarray) -> None:
    num_pairs = len(looks) * (len(looks) - 1) / 2
    assert len(set(near_duplicate_pairs(looks))) <= 0.01 * num_pairs


def test_a_mirrored_picture_changes_the_bits_of_the_mask() -> None:
    photo = photos()[0].resize((64, 64))
    mirrored = look_hash(ImageOps.mirror(photo))
    assert (mirrored ^ look_hash(photo) == MIRROR_MASK).all()
    assert mirrored.shape == (LOOK_BYTES,)


def test_only_pairs_with_a_new_image_are_compared(looks: np.ndarray) -> None:
    twice = np.concatenate([looks[:3], looks[:3], looks[:1]])
    assert (0, 3) in set(near_duplicate_pairs(twice))
    assert {later for _, later in near_duplicate_pairs(twice, first_new=6)} == {6}


def test_joined_groups_take_the_oldest_name_however_long_the_chain() -> None:
    groups = [f"look:{number}" for number in range(50)]
    chain = list(pairwise(reversed(range(50))))
    assert join_groups(groups, chain) == dict.fromkeys(groups[1:], "look:0")
    assert join_groups(groups, []) == {}
    assert join_groups(["a", "b", "a"], [(1, 2)]) == {"b": "a"}
