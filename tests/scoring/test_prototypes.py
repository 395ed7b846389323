"""Scores against prototypes: wrong texts come out lowest, whatever the model was trained on."""

import numpy as np

from builder.scoring.prototypes import joint_margins

_NUM_GROUPS, _TEXTS, _DIM = 40, 12, 64


def test_texts_of_another_group_score_lowest() -> None:
    texts, groups, images, image_groups, is_wrong = _made(np.random.default_rng(0))
    scores = joint_margins(texts, groups, images, image_groups)
    num = int(is_wrong.sum())
    found = is_wrong[np.argsort(scores)[:num]].mean()
    assert found > 0.95


def test_a_text_does_not_vouch_for_itself() -> None:
    """Each group has one text: the score compares it with pictures alone."""
    rng = np.random.default_rng(1)
    images = _unit(rng.normal(size=(4, _DIM)))
    texts = images[[1, 0, 2, 3]]  # the first two are swapped
    numbers = np.arange(4)
    scores = joint_margins(texts, numbers, images, numbers)
    assert (scores[:2] < 0).all() and (scores[2:] > 0).all()


def test_the_score_is_the_cosine_to_ones_own_less_the_best_other() -> None:
    """Worked by hand: two groups, along the axes, texts on the axes too."""
    images = np.eye(2, 3, dtype=np.float32)
    texts = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    scores = joint_margins(texts, np.array([0, 0, 1]), images, np.array([0, 1]))
    np.testing.assert_allclose(scores, [1, 1, 1], atol=1e-6)
    wrong = joint_margins(texts[[0, 1, 0]], np.array([0, 0, 1]), images, np.array([0, 1]))
    np.testing.assert_allclose(wrong[2], -1, atol=1e-6)


def test_scores_do_not_depend_on_the_size_of_blocks() -> None:
    texts, groups, images, image_groups, _ = _made(np.random.default_rng(2), texts=300)
    assert len(texts) > 2 * 4_096
    scores = joint_margins(texts, groups, images, image_groups)
    order = np.random.default_rng(3).permutation(len(texts))
    shuffled = joint_margins(texts[order], groups[order], images, image_groups)
    np.testing.assert_allclose(shuffled, scores[order], atol=1e-5)


def _made(rng: np.random.Generator, texts: int = _TEXTS) -> tuple[np.ndarray, ...]:
    """Groups along random directions, noisy texts and pictures, one text in twenty swapped."""
    centres = _unit(rng.normal(size=(_NUM_GROUPS, _DIM)))
    groups = np.repeat(np.arange(_NUM_GROUPS), texts)
    is_wrong = rng.random(len(groups)) < 0.05
    shift = np.where(is_wrong, rng.integers(1, _NUM_GROUPS, len(groups)), 0)
    said = (groups + shift) % _NUM_GROUPS
    vectors = _unit(centres[said] + 0.08 * rng.normal(size=(len(groups), _DIM)))
    images = _unit(centres + 0.1 * rng.normal(size=centres.shape))
    return vectors, groups, images, np.arange(_NUM_GROUPS), is_wrong


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
