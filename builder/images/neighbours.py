"""Finds similar images: close enough to be related, but not near-duplicates."""

# N images, D embedding, K neighbours, S siblings, R rows of a block

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builder.config import ImagesConfig
from builder.engines import Engine, EngineError
from builder.images.calibration import window_of
from builder.images.embedders import Embedder, load_embedder
from builder.images.index import ImageIndex
from builder.images.store import ImageStore
from builder.images.vectors import QUANTUM, embed_images

_BLOCK_ROWS = 256
#: What a worker compares at a time.
_CHUNK_ROWS = 16 * _BLOCK_ROWS
#: Up to this many images of a split, all pairs are compared.
_MAX_EXACT = 25_000
#: Beyond it, this many times the neighbours wanted are looked up, as those of the same group and
#: near-duplicates are left out afterwards.
_SPARE = 4
_NUM_SIBLINGS = 4
#: Columns in a strip whose maximum is computed at once; see `most_alike`.
_STRIP = 64
#: Below any similarity.
_NEVER = np.float32(-(2**25))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Similar images of each image, most similar first, -1 where there are fewer.

    All are in the image's own split. Near-duplicates are left out.

    Args:
        of_NK: Images of other groups inside the window.
        siblings_NS: Images of the same group, at any similarity.
        vectors_ND: Embeddings times `QUANTUM`, to compare any two images.
        window: Least similarity of neighbours, greatest of images that are no near-duplicates.
    """

    of_NK: NDArray[np.int32]
    siblings_NS: NDArray[np.int32]
    vectors_ND: NDArray[np.int16]
    window: tuple[float, float]

    def are_near_duplicates(
        self, first: NDArray[np.int32], second: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Whether the images of each pair are near-duplicates."""
        result = np.zeros(len(first), dtype=np.bool_)
        for start in range(0, len(first), 8192):
            part = slice(start, start + 8192)
            pair = self.vectors_ND[first[part]].astype(np.float32)
            pair *= self.vectors_ND[second[part]]
            result[part] = pair.sum(axis=1) > _scaled(self.window[1])
        return result


def neighbours_of(
    store: ImageStore,
    index: ImageIndex,
    config: ImagesConfig,
    *,
    embedder: Embedder | None = None,
    on_progress: Callable[[int], None] | None = None,
    engine: Engine | None = None,
) -> Neighbours:
    """Finds the neighbours of every image, or reads the saved ones if nothing changed.

    Args:
        store: Has the images; the results are saved in its directory.
        index: The images.
        config: Embedder, window and number of neighbours.
        embedder: Replaces the one that `config` names.
        on_progress: Called with the number of images just embedded.
        engine: Embeds and compares; this process does if None.
    """
    embedder = embedder or load_embedder(config.embedder, store)
    vectors_ND = embed_images(store, index.sha256, embedder, on_progress, engine)
    window = config.window or window_of(store, index, vectors_ND, embedder, config.num_neighbours)
    key = f"{embedder.name} {window} {config.num_neighbours} {index.digest} {_MAX_EXACT}"
    path = store.directory / "neighbours" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    found = _read(path)
    if found is None:
        of_NK = find_neighbours(
            vectors_ND, index, window, config.num_neighbours, path.parent, engine
        )
        siblings_NS = find_siblings(vectors_ND, index, window[1])
        _write(path, of_NK, siblings_NS)
    else:
        of_NK, siblings_NS = found
    return Neighbours(of_NK, siblings_NS, vectors_ND, window)


def find_neighbours(
    vectors_ND: NDArray[np.int16],
    index: ImageIndex,
    window: tuple[float, float],
    num: int,
    directory: Path | None = None,
    engine: Engine | None = None,
) -> NDArray[np.int32]:
    """The `num` most similar images of other groups, same split, inside the window.

    Up to 25,000 images of a split are compared with one another, block by block;
    of more, each with those in the likely cells of an inverted index, which finds
    more than 95 % of the same in a time that hardly grows with their number.

    Args:
        vectors_ND: Embeddings times `QUANTUM`.
        index: The images.
        window: Least and greatest cosine.
        num: Neighbours of each.
        directory: Where a large index is kept while it is used; the system's temporary one.
        engine: Its workers compare some thousand images each; this process compares if None.

    Returns:
        Shape (N, K), most similar first, -1 where there are fewer.
    """
    of_NK = np.full((len(index), num), -1, dtype=np.int32)
    for is_validation in (False, True):
        members = np.flatnonzero(index.is_validation_N == is_validation)
        group_M = index.group_N[members]
        compare = _compare_all if len(members) <= _MAX_EXACT else _look_up
        with tempfile.TemporaryDirectory(dir=_made(directory)) as temporary:
            path = Path(temporary).absolute() / "vectors.faiss"
            split = _Split(vectors_ND[members], group_M, members, num, window, path)
            if compare is _look_up:
                _make_index(split)
            if engine is None:
                of_NK[members] = compare(split, (0, len(members)))
                continue
            starts = range(0, len(members), _CHUNK_ROWS)
            chunks = [(start, min(start + _CHUNK_ROWS, len(members))) for start in starts]
            shared = engine.share(split)
            for (start, stop), found_RK in engine.map_chunks(compare, chunks, shared):
                of_NK[members[start:stop]] = found_RK
    return of_NK


@dataclass(frozen=True, slots=True)
class _Split:
    """The images of a split, compared with one another; M of them.

    Args:
        vectors_MD: Embeddings times `QUANTUM`.
        group_M: Number of each image's group.
        name_M: What the images are called in the result.
        num: Neighbours of each.
        window: Least and greatest cosine.
        index_path: Where an inverted index of the vectors is kept, if one is used.
    """

    vectors_MD: NDArray[np.int16]
    group_M: NDArray[np.int32]
    name_M: NDArray[np.int64]
    num: int
    window: tuple[float, float]
    index_path: Path


def _make_index(split: _Split) -> None:
    from builder.images.vector_index import VectorIndex

    VectorIndex(split.vectors_MD, split.index_path)


def _made(directory: Path | None) -> Path | None:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    return directory


def _compare_all(split: _Split, part: tuple[int, int]) -> NDArray[np.int32]:
    """Neighbours of some of a split's images, by comparing each with all; shape (R, K)."""
    vectors = split.vectors_MD.astype(np.float32)
    groups = _Groups(split.group_M)
    blocks = [np.zeros((0, split.num), dtype=np.int32)]
    for start in range(*part, _BLOCK_ROWS):
        similar_RN = vectors[start : min(start + _BLOCK_ROWS, part[1])] @ vectors.T
        similar_RN[groups.pairs(start, len(similar_RN))] = _NEVER
        blocks.append(most_alike(similar_RN, split.name_M, split.num, split.window))
    return np.concatenate(blocks)


def _look_up(split: _Split, part: tuple[int, int]) -> NDArray[np.int32]:
    """The same by an inverted index, made before."""
    from builder.images.vector_index import VectorIndex

    if not split.index_path.exists():
        raise EngineError(
            f"{split.index_path}: a worker cannot see this file. Put the workspace on storage that "
            "all machines mount at the same path."
        )
    least, greatest = map(_scaled, split.window)
    group_M, num = split.group_M, split.num
    of_RK = np.full((part[1] - part[0], num), -1, dtype=np.int32)
    found = VectorIndex(split.vectors_MD, split.index_path)
    for start in range(*part, _BLOCK_ROWS):
        block = slice(start, min(start + _BLOCK_ROWS, part[1]))
        similar_RK, place_RK = found.search(block, num * _SPARE)
        is_other_RK = group_M[place_RK] != group_M[block, None]
        fits_RK = is_other_RK & (similar_RK <= greatest) & (similar_RK >= least)
        rows, columns = np.nonzero(fits_RK & (place_RK >= 0))
        places = place_RK[rows, columns]
        order = np.lexsort((places, -similar_RK[rows, columns], rows))
        rows, places = rows[order], places[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = rank < num
        of_RK[start - part[0] + rows[kept], rank[kept]] = split.name_M[places[kept]]
    return of_RK


def find_siblings(
    vectors_ND: NDArray[np.int16], index: ImageIndex, greatest: float
) -> NDArray[np.int32]:
    """The most similar images of the same group that are not near-duplicates; shape (N, S)."""
    siblings_NS = np.full((len(index), _NUM_SIBLINGS), -1, dtype=np.int32)
    for members in _Groups(index.group_N).members():
        if len(members) < 2:
            continue
        vectors = vectors_ND[members].astype(np.float32)
        for start in range(0, len(members), _BLOCK_ROWS):
            similar_RN = vectors[start : start + _BLOCK_ROWS] @ vectors.T
            row = np.arange(len(similar_RN))
            similar_RN[row, row + start] = _NEVER
            siblings_NS[members[row + start]] = most_alike(
                similar_RN, members, _NUM_SIBLINGS, (-1.0, greatest)
            )
    return siblings_NS


class _Groups:
    """Finds images of the same group without comparing all pairs."""

    def __init__(self, group_N: NDArray[np.int32]) -> None:
        self._group_N = group_N
        self._order_N = np.argsort(group_N, kind="stable")
        self._size_G = np.bincount(group_N) if len(group_N) else np.zeros(0, dtype=np.int64)
        self._end_G = np.cumsum(self._size_G)

    def members(self) -> list[NDArray[np.int64]]:
        """The images of each group."""
        return np.split(self._order_N, self._end_G[:-1])

    def pairs(self, start: int, num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of every entry of a block that compares two images of one group."""
        group_R = self._group_N[start : start + num_rows]
        size_R = self._size_G[group_R]
        rows = np.repeat(np.arange(num_rows), size_R)
        # Positions in the sorted order: each row's group from its first member to its last.
        steps = np.arange(len(rows)) - np.repeat(np.cumsum(size_R) - size_R, size_R)
        return rows, self._order_N[(self._end_G - self._size_G)[group_R[rows]] + steps]


def most_alike(
    similar_RN: NDArray[np.float32],
    names_N: NDArray[np.int64],
    num: int,
    window: tuple[float, float],
) -> NDArray[np.int32]:
    """Names of the `num` most similar entries of each row inside the window.

    The maxima of strips of columns give a lower bound that at least `num` entries
    of a row reach, so that only few entries are sorted. Overwrites entries above
    the window.

    Returns:
        Shape (R, num): most similar first, ties by position, -1 where there are fewer.
    """
    least, greatest = map(_scaled, window)
    num_rows, num_columns = similar_RN.shape
    result = np.full((num_rows, num), -1, dtype=np.int32)
    width = num_columns // _STRIP
    # Strip m has the columns m, m + width, m + 2 width, …; each remaining column is its own strip.
    strips_RSW = similar_RN[:, : width * _STRIP].reshape(num_rows, _STRIP, width)
    rest_RL = similar_RN[:, width * _STRIP :]
    rest_RL[rest_RL > greatest] = _NEVER
    maxima_RM = strips_RSW.max(axis=1) if width else np.zeros((num_rows, 0), dtype=np.float32)
    rows, strips = np.nonzero(maxima_RM > greatest)
    fixed = strips_RSW[rows, :, strips]
    fixed[fixed > greatest] = _NEVER
    strips_RSW[rows, :, strips] = fixed
    maxima_RM[rows, strips] = fixed.max(axis=1, initial=_NEVER)
    maxima_RM = np.concatenate([maxima_RM, rest_RL], axis=1)
    kth = max(0, maxima_RM.shape[1] - num)
    lower_bound_R1 = np.partition(maxima_RM, kth, axis=1)[:, kth, None]
    if maxima_RM.shape[1] < num:  # fewer strips than entries wanted give no bound
        lower_bound_R1 = np.full((num_rows, 1), _NEVER, dtype=np.float32)
    rows, columns = np.nonzero(similar_RN >= np.maximum(lower_bound_R1, least))
    order = np.lexsort((columns, -similar_RN[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    first_of_row = np.searchsorted(rows, np.arange(num_rows))
    rank = np.arange(len(rows)) - first_of_row[rows]
    kept = rank < num
    result[rows[kept], rank[kept]] = names_N[columns[kept]]
    return result


def _scaled(limit: float) -> np.float32:
    """A limit of similarity for vectors times `QUANTUM`; 1 and -1 mean no limit.

    Because of rounding, products of equal vectors are slightly above 1.
    """
    if abs(limit) >= 1.0:
        limit = np.copysign(1.5, limit)
    return np.float32(limit * QUANTUM**2)


def _read(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    try:
        with np.load(path) as saved:
            return saved["of"], saved["siblings"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError):  # damaged: computed again
        path.unlink()
        return None


def _write(path: Path, of_NK: NDArray[np.int32], siblings_NS: NDArray[np.int32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as handle:
        np.savez(handle, of=of_NK, siblings=siblings_NS)
    temporary.replace(path)
