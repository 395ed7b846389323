"""Which images are alike: near enough to be related, not near-duplicates."""

# N images, D embedding, K neighbours, S siblings, R rows of a block

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builder.config import ImagesConfig
from builder.images.embedders import Embedder, load_embedder
from builder.images.index import ImageIndex
from builder.images.store import ImageStore
from builder.images.vectors import QUANTUM, embed_images

_BLOCK_ROWS = 256
_BUCKET_IMAGES = 50_000
_NUM_SIBLINGS = 4
#: Below any similarity.
_NEVER = np.float32(-(2**25))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each image the ones like it, the most alike first, -1 where there are fewer.

    All lie in the image's own split. Near-duplicates are left out of both.

    Args:
        of_NK: Images of other groups inside the window.
        siblings_NS: Images of the same group, however unlike.
        vectors_ND: Embeddings times `QUANTUM`, to compare any two images.
        greatest: Greatest similarity of two images that are no near-duplicates.
    """

    of_NK: NDArray[np.int32]
    siblings_NS: NDArray[np.int32]
    vectors_ND: NDArray[np.int16]
    greatest: float

    def are_near_duplicates(
        self, first: NDArray[np.int32], second: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Whether the images of each pair are too alike to stand apart."""
        result = np.zeros(len(first), dtype=np.bool_)
        for start in range(0, len(first), 8192):
            part = slice(start, start + 8192)
            pair = self.vectors_ND[first[part]].astype(np.float32)
            pair *= self.vectors_ND[second[part]]
            result[part] = pair.sum(axis=1) > self.greatest * QUANTUM**2
        return result


def neighbours_of(
    store: ImageStore,
    index: ImageIndex,
    config: ImagesConfig,
    *,
    embedder: Embedder | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Neighbours:
    """Finds the neighbours of every image, or reads them when nothing changed since.

    Args:
        store: Where the images lie; the results are kept below it.
        index: The images.
        config: Embedder, window and number of neighbours.
        embedder: Instead of the one that `config` names.
        on_progress: Called with the number of images just embedded.
    """
    embedder = embedder or load_embedder(config.embedder)
    window = config.window or embedder.default_window
    key = f"{embedder.name} {window} {config.num_neighbours} {index.digest} {_BUCKET_IMAGES}"
    path = store.directory / "neighbours" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    vectors_ND = embed_images(store, index.sha256, embedder, on_progress)
    found = _read(path)
    if found is None:
        of_NK = find_neighbours(vectors_ND, index, window, config.num_neighbours)
        siblings_NS = find_siblings(vectors_ND, index, window[1])
        _write(path, of_NK, siblings_NS)
    else:
        of_NK, siblings_NS = found
    return Neighbours(of_NK, siblings_NS, vectors_ND, window[1])


def find_neighbours(
    vectors_ND: NDArray[np.int16], index: ImageIndex, window: tuple[float, float], num: int
) -> NDArray[np.int32]:
    """The `num` most alike images of other groups, same split, inside the window.

    Compares block by block: some 150 MB beside the vectors for 50,000 images.
    Above that an image is compared with those of its own bucket, so that the
    work grows with the number of images and not with its square.

    Returns:
        Shape (N, K), the most alike first, -1 where there are fewer.
    """
    of_NK = np.full((len(index), num), -1, dtype=np.int32)
    for is_validation in (False, True):
        members = np.flatnonzero(index.is_validation_N == is_validation)
        num_buckets = -(-len(members) // _BUCKET_IMAGES)
        for bucket in np.array_split(members, max(1, num_buckets)):
            vectors = vectors_ND[bucket].astype(np.float32)
            groups = index.group_N[bucket]
            for start in range(0, len(bucket), _BLOCK_ROWS):
                rows = slice(start, start + _BLOCK_ROWS)
                similar_RN = vectors[rows] @ vectors.T
                similar_RN[groups[rows, None] == groups] = _NEVER
                _blank_outside(similar_RN, window)
                of_NK[bucket[rows]] = _most_alike(similar_RN, bucket, num)
    return of_NK


def find_siblings(
    vectors_ND: NDArray[np.int16], index: ImageIndex, greatest: float
) -> NDArray[np.int32]:
    """The most alike images of the same group that are no near-duplicates; shape (N, S)."""
    siblings_NS = np.full((len(index), _NUM_SIBLINGS), -1, dtype=np.int32)
    order = np.argsort(index.group_N, kind="stable")
    sizes = np.bincount(index.group_N) if len(index) else np.zeros(0, dtype=int)
    for members in np.split(order, np.cumsum(sizes)[:-1]):
        if len(members) < 2:
            continue
        vectors = vectors_ND[members].astype(np.float32)
        for start in range(0, len(members), _BLOCK_ROWS):
            similar_RN = vectors[start : start + _BLOCK_ROWS] @ vectors.T
            row = np.arange(len(similar_RN))
            similar_RN[row, row + start] = _NEVER
            _blank_outside(similar_RN, (-1.0, greatest))
            siblings_NS[members[row + start]] = _most_alike(similar_RN, members, _NUM_SIBLINGS)
    return siblings_NS


def _blank_outside(similar_RN: NDArray[np.float32], window: tuple[float, float]) -> None:
    least, greatest = (np.float32(bound * QUANTUM**2) for bound in window)
    similar_RN[(similar_RN > greatest) | (similar_RN < least)] = _NEVER


def _most_alike(
    similar_RN: NDArray[np.float32], names_N: NDArray[np.int64], num: int
) -> NDArray[np.int32]:
    """Names of the `num` greatest of each row, greatest first, ties by position, else -1."""
    num_rows, num_columns = similar_RN.shape
    result = np.full((num_rows, num), -1, dtype=np.int32)
    kth = max(0, num_columns - num)
    least_R1 = np.maximum(np.partition(similar_RN, kth, axis=1)[:, kth, None], _NEVER / 2)
    rows, columns = np.nonzero(similar_RN >= least_R1)
    order = np.lexsort((columns, -similar_RN[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    first_of_row = np.searchsorted(rows, np.arange(num_rows))
    rank = np.arange(len(rows)) - first_of_row[rows]
    kept = rank < num
    result[rows[kept], rank[kept]] = names_N[columns[kept]]
    return result


def _read(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    try:
        with np.load(path) as saved:
            return saved["of"], saved["siblings"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError):  # damaged: found anew
        path.unlink()
        return None


def _write(path: Path, of_NK: NDArray[np.int32], siblings_NS: NDArray[np.int32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as handle:
        np.savez(handle, of=of_NK, siblings=siblings_NS)
    temporary.replace(path)
