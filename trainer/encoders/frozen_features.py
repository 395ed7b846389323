"""Features of one frozen tower: computed once, kept on disk, gathered by row."""

import functools
import hashlib
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.encoders.feature_cache import FeatureCache
from trainer.portable.tower import Tower
from trainer.progress import progress_bar

_LOG = logging.getLogger(__name__)

# B items, R rows kept, F features

#: Items prepared together; the pixels of more would fill memory.
_WINDOW_ITEMS = 512
_NUM_PREPARING = 8
#: Features written together; a crash loses at most these.
_CHUNK_ITEMS = 1024


def text_key(text: str) -> str:
    """Content hash of a text: sha256 of its UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class FrozenFeatures:
    """Features of a tower by content hash, as rows of one matrix.

    Args:
        tower: Frozen; its weights do not change while this exists.
        cache: On disk; None keeps nothing there. Features of a fast tower are
            not worth it.
    """

    def __init__(self, tower: Tower, cache: FeatureCache | None) -> None:
        self._tower = tower
        self._name = functools.cache(tower.fingerprint)  # it hashes every weight
        self._cache = cache if tower.is_slow else None
        self._row_of: dict[str, int] = {}
        self.features_RF = torch.zeros((0, tower.dim))

    def row(self, key: str) -> int | None:
        """Row of an item, None where its features were not computed."""
        return self._row_of.get(key)

    def gather(self, rows: Sequence[int]) -> Tensor:
        """Features of rows, shape (B, F)."""
        return self.features_RF.index_select(0, torch.tensor(rows, dtype=torch.long))

    def add(self, keys: Collection[str], read: Callable[[str], Any]) -> None:
        """Computes features that are not here yet, with a progress bar.

        Args:
            keys: Content hashes; repeated ones count once.
            read: Gives the tower's item of a key.
        """
        todo = [key for key in dict.fromkeys(keys) if key not in self._row_of]
        if not todo:
            return
        name = self._name() if self._cache else ""
        found = self._cache.read(name, todo) if self._cache else {}
        missing = [key for key in todo if key not in found]
        kind = f"{self._tower.modality}s"
        if self._tower.is_slow:
            _LOG.info("features: %d %s to compute, %d known", len(missing), kind, len(found))
        with progress_bar(kind, len(missing)) as advance:
            fresh: dict[str, NDArray[np.float32]] = {}
            for start in range(0, len(missing), _WINDOW_ITEMS):
                window = missing[start : start + _WINDOW_ITEMS]
                fresh |= self._compute(window, read)
                advance(len(window))
                is_last = start + _WINDOW_ITEMS >= len(missing)
                if self._cache and (len(fresh) >= _CHUNK_ITEMS or is_last):
                    self._cache.add(name, fresh)
                    found |= fresh
                    fresh = {}
        self._keep(todo, found | fresh)

    def _compute(
        self, keys: Sequence[str], read: Callable[[str], Any]
    ) -> dict[str, NDArray[np.float32]]:
        with ThreadPoolExecutor(_NUM_PREPARING, "prepare") as pool:  # decoding leaves Python's lock
            prepared = list(pool.map(lambda key: self._tower.prepare(read(key)), keys))
        order = sorted(range(len(keys)), key=lambda place: self._tower.num_tokens(prepared[place]))
        rows = self._forward([prepared[place] for place in order])
        return {keys[place]: row for place, row in zip(order, rows, strict=True)}

    def _forward(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        """Features of a window, shape (B, F).

        On a CPU every core computes batches of its own: cores that share one batch wait for one
        another at every layer, and spin when others are at work too.
        """

        def features(batch: Sequence[Any]) -> NDArray[np.float32]:
            with torch.no_grad():  # it holds for one thread
                return self._tower(batch).float().cpu().numpy()

        weight = next(self._tower.parameters(), None)
        if weight is not None and weight.device.type != "cpu":
            return features(prepared)
        size = self._tower.batch_size
        batches = [prepared[start : start + size] for start in range(0, len(prepared), size)]
        with ThreadPoolExecutor(
            os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return np.concatenate(list(pool.map(features, batches)))

    def _keep(self, keys: Sequence[str], features: Mapping[str, NDArray[np.float32]]) -> None:
        rows_BF = torch.from_numpy(np.stack([features[key] for key in keys]))
        first = len(self.features_RF)
        self._row_of.update((key, first + number) for number, key in enumerate(keys))
        self.features_RF = torch.cat([self.features_RF, rows_BF])
