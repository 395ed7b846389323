"""Which images of a version look alike: small descriptors of colour and edges, made once and kept.

This finds near copies and drawings of one kind; it does not know what a picture shows.
"""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation_app.data.search_index import index_name
from curation_app.data.version import VersionDataset
from schemas.errors import PolysceneError
from schemas.features import SAMPLE_SCHEMA, image_columns_of
from schemas.pictures import PictureError, read_picture
from schemas.vocabulary import CONFIG_OF_TASK

# N images, D descriptor

_log = logging.getLogger(__name__)

#: Distinct images that are described, in the order of the shards; a thousand take about 2 s.
MAX_IMAGES = 20_000
_SIDE_PX = 32
_CELLS = 4
_ORIENTATIONS = 4
_NUM_DIMENSIONS = _CELLS * _CELLS * (3 + _ORIENTATIONS)
_BATCH_ROWS = 64


class SimilarityError(PolysceneError):
    """An image cannot be compared with the others."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Images by sha256, and their descriptors of length 1, shape (N, D).

    Args:
        is_complete: False where the version has more than `MAX_IMAGES` images.
    """

    sha256s: list[str]
    vectors_ND: NDArray[np.float32]
    is_complete: bool


class SimilarImages:
    """Looks up images that look like another; safe for many threads.

    Args:
        dataset: The version.
        cache_dir: Where descriptors are kept; without it, or where it cannot be
            written, they are computed again in each process.
    """

    def __init__(
        self, dataset: VersionDataset, cache_dir: Path | None, *, max_images: int = MAX_IMAGES
    ) -> None:
        self._dataset = dataset
        self._path = None if cache_dir is None else cache_dir / f"{index_name(dataset)}.images.npz"
        self._max_images = max_images
        self._lock = Lock()
        self._descriptors: Descriptors | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a look-up answers at once."""
        return self._descriptors is not None

    def prepare(self, progress: Callable[[int], None] = lambda num_images: None) -> Descriptors:
        """Reads or makes the descriptors; `progress` gets how many are made."""
        with self._lock:
            if self._descriptors is None:
                self._descriptors = self._read() or self._make(progress)
            return self._descriptors

    def like(self, sha256: str, *, limit: int = 24) -> list[tuple[str, float]]:
        """The images most like one, nearest first, itself at the head, each with its cosine.

        Raises:
            SimilarityError: The image is not among those described.
        """
        known = self.prepare()
        try:
            place = known.sha256s.index(sha256)
        except ValueError as exc:
            why = "cannot be read" if known.is_complete else f"is not among {self._max_images:,}"
            raise SimilarityError(
                f"image {sha256[:16]}: it {why}, so nothing is compared with it. "
                "Choose another row."
            ) from exc
        cosine_N = known.vectors_ND @ known.vectors_ND[place]
        cosine_N[place] = np.inf
        order = np.argsort(-cosine_N, kind="stable")[:limit]
        return [(known.sha256s[n], min(float(cosine_N[n]), 1.0)) for n in order.tolist()]

    def _make(self, progress: Callable[[int], None]) -> Descriptors:
        seen: set[str] = set()
        sha256s: list[str] = []
        vectors: list[NDArray[np.float32]] = []
        is_complete = True
        for sha256, data in _images(self._dataset):
            if sha256 in seen:
                continue
            if len(seen) >= self._max_images:
                is_complete = False
                break
            seen.add(sha256)
            vector = describe(data)
            if vector is not None:
                sha256s.append(sha256)
                vectors.append(vector)
            if len(seen) % 100 == 0:
                progress(len(seen))
        stacked = np.stack(vectors) if vectors else np.zeros((0, _NUM_DIMENSIONS), np.float32)
        made = Descriptors(sha256s, stacked, is_complete)
        self._write(made)
        return made

    def _read(self) -> Descriptors | None:
        if self._path is None or not self._path.is_file():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as kept:
                sha256s = [name.decode() for name in kept["sha256s"].tolist()]
                return Descriptors(sha256s, kept["vectors"], bool(kept["is_complete"]))
        except (OSError, ValueError, KeyError):
            return None

    def _write(self, made: Descriptors) -> None:
        if self._path is None:
            return
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(
                    file,
                    sha256s=np.array(made.sha256s, dtype="S64"),
                    vectors=made.vectors_ND,
                    is_complete=made.is_complete,
                )
            part.replace(self._path)
        except OSError as exc:
            part.unlink(missing_ok=True)
            _log.warning("image descriptors are not kept: %s", exc)


def describe(data: bytes) -> NDArray[np.float32] | None:
    """Mean colour and edge directions in 4 x 4 cells, length 1; None for what is no image."""
    try:
        picture = read_picture(data, max_side_px=4 * _SIDE_PX)
    except PictureError:
        return None
    pixels = np.asarray(picture.convert("RGB").resize((_SIDE_PX, _SIDE_PX)), np.float32) / 255
    colour = _by_cell(pixels)
    grey = pixels.mean(axis=2)
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    angle = np.mod(np.arctan2(down, right), np.pi)
    nearest = np.minimum((angle / np.pi * _ORIENTATIONS).astype(int), _ORIENTATIONS - 1)
    edges = np.stack([strength * (nearest == n) for n in range(_ORIENTATIONS)], axis=2)
    halves = [_unit(colour - 0.5), _unit(_by_cell(edges.astype(np.float32)))]
    return _unit(np.concatenate(halves)).astype(np.float32)


def _by_cell(pixels: NDArray[Any]) -> NDArray[Any]:
    side = _SIDE_PX // _CELLS
    cells = pixels.reshape(_CELLS, side, _CELLS, side, -1)
    return cells.mean(axis=(1, 3)).ravel()


def _unit(vector: NDArray[Any]) -> NDArray[Any]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _images(dataset: VersionDataset) -> Iterator[tuple[str, bytes]]:
    """sha256 and bytes of every image of every row, shard by shard."""
    configs = set(CONFIG_OF_TASK.values())
    for shard in dataset.manifest.shards:
        if shard.config not in configs:
            continue
        with pq.ParquetFile(dataset.directory / shard.path, memory_map=True) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=image_columns_of(SAMPLE_SCHEMA)):
                for record in batch.to_pylist():
                    yield from _of_record(record)


def _of_record(record: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    for value in (record["query_image"], record["positive_image"], *record["negative_images"]):
        if value is not None and value["path"] is not None and value["bytes"] is not None:
            yield Path(value["path"]).stem, value["bytes"]
