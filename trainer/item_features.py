"""Tower features of every text and image a run needs, as tensors with an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.encoders.tower import Towers
from trainer.feature_cache import FeatureCache
from trainer.features import compute_features, text_key
from trainer.progress import progress_bar

# T texts, I images, F features


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """Features with the row each item has in them.

    Args:
        text_TF: Text features.
        image_IF: Image features.
        text_index: Row of a text in `text_TF`.
        image_index: Row of an image, by sha256, in `image_IF`.
    """

    text_TF: Tensor
    image_IF: Tensor
    text_index: dict[str, int]
    image_index: dict[str, int]


def compute_item_features(
    towers: Towers,
    texts: Sequence[str],
    images: Mapping[str, bytes],
    cache: FeatureCache | None = None,
) -> ItemFeatures:
    """Features of unique texts and of images given by sha256, with a progress bar each."""
    with progress_bar("texts", len(texts)) as advance:
        text_keys = [text_key(text) for text in texts]
        text_features = compute_features(towers.text, text_keys, texts, cache, advance)
    with progress_bar("images", len(images)) as advance:
        image_features = compute_features(
            towers.image, list(images), list(images.values()), cache, advance
        )
    return ItemFeatures(
        text_TF=torch.from_numpy(text_features),
        image_IF=torch.from_numpy(image_features),
        text_index={text: row for row, text in enumerate(texts)},
        image_index={sha256: row for row, sha256 in enumerate(images)},
    )
