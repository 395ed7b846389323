"""Finds pictures that are copies of one another, however resized, compressed or mirrored."""

# N images, P pairs, B bytes of a look hash

from collections.abc import Iterator, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from builder.images.fingerprint import MIRROR_MASK

#: Bits of 256 in which copies may differ. Of copies that were cropped by 5 % in all, compressed and
#: brightened, 95 % lie within; of unrelated photographs one pair in 10,000 does.
MAX_DISTANCE = 76
#: Beyond this many images, only likely buckets of the index are compared.
_MAX_EXACT = 50_000
_IMAGES_PER_BUCKET = 200
_BUCKETS_PROBED = 24
_QUERIES_AT_ONCE = 4_096


def near_duplicate_pairs(
    look_NB: NDArray[np.uint8], first_new: int = 0, max_distance: int = MAX_DISTANCE
) -> Iterator[tuple[int, int]]:
    """Pairs of images whose look hashes are close, mirrored or not.

    Args:
        look_NB: Look hashes, shape (N, 32).
        first_new: Only pairs with an image from here on; those before were compared earlier.
        max_distance: The most bits that may differ.

    Yields:
        (earlier, later) positions, each pair at least once.
    """
    index = _index(look_NB)
    for start in range(first_new, len(look_NB), _QUERIES_AT_ONCE):
        part_NB = np.ascontiguousarray(look_NB[start : start + _QUERIES_AT_ONCE])
        for queries_NB in (part_NB, part_NB ^ MIRROR_MASK):
            # FAISS takes distances below the radius.
            limits, _, found = index.range_search(queries_NB, max_distance + 1)
            of_query = np.diff(limits.astype(np.int64))
            query = np.repeat(np.arange(start, start + len(part_NB)), of_query)
            for one, other in zip(query.tolist(), found.tolist(), strict=True):
                if one != other:
                    yield min(one, other), max(one, other)


def near_pairs(
    look_NB: NDArray[np.uint8], among_MB: NDArray[np.uint8], max_distance: int
) -> Iterator[tuple[int, int, int]]:
    """Pairs of an image and one of another set whose look hashes are close, mirrored or not.

    Yields:
        (position, position among the others, bits that differ), a pair at most twice.
    """
    if not len(among_MB):
        return
    index = _index(among_MB)
    for start in range(0, len(look_NB), _QUERIES_AT_ONCE):
        part_NB = np.ascontiguousarray(look_NB[start : start + _QUERIES_AT_ONCE])
        for queries_NB in (part_NB, part_NB ^ MIRROR_MASK):
            limits, distances, found = index.range_search(queries_NB, max_distance + 1)
            of_query = np.diff(limits.astype(np.int64))
            query = np.repeat(np.arange(start, start + len(part_NB)), of_query)
            yield from zip(
                query.tolist(), found.tolist(), distances.astype(int).tolist(), strict=True
            )


def _index(look_NB: NDArray[np.uint8]) -> "faiss.IndexBinary":
    bits = look_NB.shape[1] * 8
    look_NB = np.ascontiguousarray(look_NB)
    if len(look_NB) <= _MAX_EXACT:
        index: faiss.IndexBinary = faiss.IndexBinaryFlat(bits)
    else:
        buckets = len(look_NB) // _IMAGES_PER_BUCKET
        index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, buckets)
        index.nprobe = _BUCKETS_PROBED
        index.train(look_NB[:: max(1, len(look_NB) // _MAX_EXACT)])
    index.add(look_NB)
    return index


def join_groups(
    groups: Sequence[str], pairs: Iterator[tuple[int, int]] | Sequence[tuple[int, int]]
) -> dict[str, str]:
    """Groups that share a picture become one.

    Args:
        groups: Group of each image, in the order in which the images were added.
        pairs: Positions of near-duplicates.

    Returns:
        The new name of each group that is joined to another: that of the oldest among them, so
        that images which were there before keep their group and split.
    """
    age: dict[str, int] = {}
    for group in groups:
        age.setdefault(group, len(age))
    parent = dict(zip(age, age, strict=True))

    def root_of(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for first, second in pairs:
        one, other = root_of(groups[first]), root_of(groups[second])
        if one != other:
            older, newer = sorted((one, other), key=age.__getitem__)
            parent[newer] = older
    return {group: root_of(group) for group in age if root_of(group) != group}
