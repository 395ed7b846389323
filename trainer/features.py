"""Tower features of unique items, computed once and kept on disk by content hash."""

import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from schemas.errors import naming
from trainer.encoders.tower import Tower

_LOG = logging.getLogger(__name__)

Item = TypeVar("Item")
#: Called with the number of items just finished.
Advance = Callable[[int], None]

#: Features written together; what a crash can cost.
CHUNK_ITEMS = 1024


def default_cache_dir() -> Path:
    """Where features are kept unless the caller says otherwise."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "polyscene" / "features"


class FeatureCache:
    """Features by content hash, one folder a tower, in chunk files that are whole or absent."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, tower: str) -> dict[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self._folder(tower).glob("*.npz")):
            try:
                with np.load(path) as chunk:
                    found.update(zip(chunk["keys"].tolist(), chunk["features"], strict=True))
            except (OSError, ValueError, KeyError, BadZipFile) as exc:
                _LOG.warning("%s: broken (%s); its features are computed again", path, exc)
                path.unlink()
        return found

    def add(self, tower: str, features: Mapping[str, NDArray[np.float32]]) -> None:
        folder = self._folder(tower)
        name = secrets.token_hex(8)
        unfinished = folder / f"{name}.part"
        with naming(folder), unfinished.open("wb") as file:
            np.savez(file, keys=np.array(list(features)), features=np.stack([*features.values()]))
        unfinished.rename(folder / f"{name}.npz")

    def _folder(self, tower: str) -> Path:
        """The tower's folder, made at once: one that cannot be is told before the work."""
        folder = self._directory / re.sub(r"[^\w.-]", "_", tower)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


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
    known = cache.read(tower.name) if cache else {}
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
