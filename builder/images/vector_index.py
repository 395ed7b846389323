"""Finds the most similar of many vectors without comparing all pairs."""

# N images, D embedding, C cells, Q queries, K found

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

#: A cell holds this many vectors on average, and this many cells are searched: with CNN vectors of
#: 400,000 images, recall of the exact neighbours stays above 0.95.
_VECTORS_PER_CELL = 200
_CELLS_PROBED = 48
_VECTORS_AT_ONCE = 65_536


class VectorIndex:
    """Inverted lists over whole-numbered vectors, in a file that is memory-mapped.

    The centres of the cells are vectors of the set itself, drawn with a fixed seed, and
    products of the vectors are whole numbers that float32 adds exactly. So every machine and
    every number of threads finds the same, which k-means would not promise.

    Args:
        vectors_ND: Vectors of unit length times `QUANTUM`.
        path: Where the lists are kept; made anew if it does not fit the vectors.

    Source: Jégou et al. 2011, "Product Quantization for Nearest Neighbor Search" (IVF), as FAISS
    implements it.
    """

    def __init__(self, vectors_ND: NDArray[np.int16], path: Path) -> None:
        self._vectors_ND = vectors_ND
        self._index = _open(path, vectors_ND)
        self._how = faiss.SearchParametersIVF()
        self._how.nprobe = _CELLS_PROBED

    def search(self, queries: slice, num: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Products and positions of the `num` best for some of the vectors, each (Q, K).

        A vector finds itself too. Position -1 where there are fewer.
        """
        given = self._vectors_ND[queries].astype(np.float32)
        return self._index.search(given, num, params=self._how)

    def pairs_above(self, least: float, first_new: int) -> Iterator[tuple[int, int]]:
        """Positions of vectors whose product is greater, the later one from `first_new` on."""
        for start in range(first_new, len(self._vectors_ND), _VECTORS_AT_ONCE):
            queries = self._vectors_ND[start : start + _VECTORS_AT_ONCE].astype(np.float32)
            limits, _, found = self._index.range_search(queries, least, params=self._how)
            later = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64))) + start
            for one, other in zip(later.tolist(), found.tolist(), strict=True):
                if one != other:
                    yield min(one, other), max(one, other)


def _open(path: Path, vectors_ND: NDArray[np.int16]) -> "faiss.Index":
    if path.exists():
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        except RuntimeError:  # damaged: made again
            index = None
        if index is not None and (index.d, index.ntotal) == vectors_ND.shape[::-1]:
            return index
    index = _build(vectors_ND)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    faiss.write_index(index, str(temporary))
    temporary.replace(path)
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)


def _build(vectors_ND: NDArray[np.int16]) -> "faiss.Index":
    num, dim = vectors_ND.shape
    num_cells = max(1, num // _VECTORS_PER_CELL)
    centres = np.random.default_rng(0).choice(num, num_cells, replace=False)
    quantizer = faiss.IndexFlatIP(dim)
    quantizer.add(vectors_ND[np.sort(centres)].astype(np.float32))
    index = faiss.IndexIVFFlat(quantizer, dim, num_cells, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, num, _VECTORS_AT_ONCE):
        index.add(vectors_ND[start : start + _VECTORS_AT_ONCE].astype(np.float32))
    return index
