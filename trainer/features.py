"""Tower features of unique items; slow ones are computed once and kept on disk."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.encoders.tower import Tower
from trainer.feature_cache import FeatureCache

Item = TypeVar("Item")
#: Called with the number of items just finished.
Advance = Callable[[int], None]

#: Features written together; what a crash can cost.
CHUNK_ITEMS = 1024


def compute_features(
    tower: Tower[Item],
    keys: Sequence[str],
    items: Sequence[Item],
    cache: FeatureCache | None,
    advance: Advance = lambda num_items: None,
) -> NDArray[np.float32]:
    """Features of items in their order; what the cache has is not computed again.

    Args:
        tower: Frozen tower of the items' modality.
        keys: Content hash of each item.
        items: Unique items, in the order of their keys.
        cache: None computes everything and keeps nothing.
        advance: Told about progress, cached items included.

    Returns:
        Array of shape (len(items), tower.dim).
    """
    cache = cache if tower.is_slow else None
    known = cache.read(tower.name, keys) if cache else {}
    todo = [(key, item) for key, item in zip(keys, items, strict=True) if key not in known]
    advance(len(keys) - len(todo))
    # Neighbours of like length share the work of a batch evenly.
    todo.sort(key=lambda entry: len(entry[1]) if isinstance(entry[1], str) else 0)
    fresh: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(todo), tower.batch_size):
        batch = todo[start : start + tower.batch_size]
        features_BF = tower.features([item for _, item in batch])
        fresh.update(zip([key for key, _ in batch], features_BF, strict=True))
        advance(len(batch))
        is_last = start + tower.batch_size >= len(todo)
        if cache and (len(fresh) >= CHUNK_ITEMS or is_last):
            cache.add(tower.name, fresh)
            known.update(fresh)
            fresh = {}
    known.update(fresh)
    if not keys:
        return np.zeros((0, tower.dim), dtype=np.float32)
    return np.stack([known[key] for key in keys])


def text_key(text: str) -> str:
    """Content hash of a text: sha256 of its UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode()).hexdigest()
