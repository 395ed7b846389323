"""Places of one's own picture: exact where all groups are candidates, bounded where not."""

import numpy as np
import pytest

from builder.scoring import ranks
from builder.scoring.ranks import picture_ranks


def test_the_place_is_that_of_sorting_all_pictures() -> None:
    rng = np.random.default_rng(0)
    images = _unit(rng.normal(size=(30, 16)))
    image_of = rng.integers(0, 30, 200)
    texts = _unit(images[image_of] + rng.normal(size=(200, 16)) * 0.4)
    found, num = picture_ranks(texts, image_of, images, np.arange(30))
    order = np.argsort(-(texts @ images.T), axis=1)
    expected = 1 + np.argmax(order == image_of[:, None], axis=1)
    assert num == 30 and found.tolist() == expected.tolist() and found.max() > 1


def test_other_pictures_of_ones_own_group_do_not_stand_before_it() -> None:
    """The second picture of the text's group fits better, one of another group as well."""
    images = np.array([[0.8, 0.6], [1, 0], [0, 1]], np.float32)
    text = np.array([[1, 0]], np.float32)
    assert picture_ranks(text, np.array([0]), images, np.array([5, 5, 7]))[0].tolist() == [1]
    assert picture_ranks(text, np.array([2]), images, np.array([5, 5, 7]))[0].tolist() == [2]


def test_a_tie_counts_against_the_text() -> None:
    images = np.ones((3, 1), np.float32)
    found, _ = picture_ranks(images[:1], np.array([0]), images, np.arange(3))
    assert found.tolist() == [3]


def test_with_too_many_groups_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "MAX_CANDIDATES", 50)
    images = _unit(np.random.default_rng(3).normal(size=(400, 16)))
    texts = _unit(-images)  # each text likes its own picture least
    found, num = picture_ranks(texts, np.arange(400), images, np.arange(400))
    assert num == 50 and found.max() <= 51 and found.min() >= 50


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
