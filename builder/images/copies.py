"""Puts pictures that are copies of one another into one group, so that they share a split."""

# N images, B bytes of a look hash

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builder.config import ImagesConfig
from builder.engines import Engine
from builder.images.calibration import window_of
from builder.images.embedders import PICTOGRAM_GROUP, load_embedder
from builder.images.fingerprint import LOOK_BYTES, look_hash
from builder.images.index import ImageIndex, index_images
from builder.images.near_duplicates import join_groups, near_duplicate_pairs
from builder.images.store import ImageStore
from builder.images.vectors import QUANTUM, decode, embed_images
from builder.images.worker_vectors import hash_looks_with

_IMAGES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class JoinSummary:
    """What joining did: images compared for the first time, and groups that were joined."""

    num_compared: int
    num_joined: int


def join_copies(
    store: ImageStore,
    config: ImagesConfig,
    *,
    settled: Collection[str] = (),
    on_progress: Callable[[int], None] | None = None,
    engine: Engine | None = None,
) -> JoinSummary:
    """Joins the groups of images that were never compared with those of their copies.

    Copies are close in their look hashes or, for an embedder with a calibrated window, more
    alike than it allows for neighbours. Images that were compared before keep their group
    unless a new one ties two of them together. The bundled pictograms keep theirs: they
    are grouped by concept.

    Args:
        store: The images.
        config: Names the embedder, which finds copies that were cropped or altered more.
        settled: Images of builds already begun: they stay in their groups.
        on_progress: Called with the number of images just hashed or embedded.
        engine: Hashes and embeds; this process does if None.
    """
    known = store.looks()
    records = [r for r in store.records() if not r.group.startswith(PICTOGRAM_GROUP)]
    group_of = {record.name: record.group for record in records}
    unseen = [name for name in group_of if name not in known]
    if not unseen:
        return JoinSummary(0, 0)
    old = [name for name in known if name in group_of]
    order = [*old, *(n for n in unseen if n in settled), *(n for n in unseen if n not in settled)]
    first_new = len(order) - sum(name not in settled for name in unseen)
    looks = known | _hash_all(store, unseen, on_progress, engine)
    look_NB = np.stack([np.frombuffer(looks[name], dtype=np.uint8) for name in order])
    pairs = chain(
        near_duplicate_pairs(look_NB, first_new),
        _alike(store, order, first_new, config, on_progress, engine),
    )
    joined = join_groups([group_of[name] for name in order], pairs)
    store.join_groups({name: looks[name] for name in unseen}, joined)
    return JoinSummary(len(unseen), len(joined))


def _hash_all(
    store: ImageStore,
    names: Sequence[str],
    on_progress: Callable[[int], None] | None,
    engine: Engine | None,
) -> dict[str, bytes]:
    if engine is not None:
        return hash_looks_with(engine, store, names, on_progress)
    found: dict[str, bytes] = {}
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _IMAGES_AT_ONCE):
            part = names[start : start + _IMAGES_AT_ONCE]
            found.update(zip(part, pool.map(lambda name: _look(store, name), part), strict=True))
            if on_progress:
                on_progress(len(part))
    assert all(len(look) == LOOK_BYTES for look in found.values())
    return found


def _look(store: ImageStore, name: str) -> bytes:
    return look_hash(decode(store.read(name).data)).tobytes()


def _alike(
    store: ImageStore,
    order: Sequence[str],
    first_new: int,
    config: ImagesConfig,
    on_progress: Callable[[int], None] | None,
    engine: Engine | None,
) -> Iterator[tuple[int, int]]:
    """Pairs that the embedder holds for copies; none for one with a fixed window."""
    if first_new == len(order):
        return
    embedder = load_embedder(config.embedder, store)
    if embedder.default_window is not None:
        return
    from builder.images.vector_index import VectorIndex

    index = index_images(store, 0.0)
    vectors_ND = embed_images(store, index.sha256, embedder, on_progress, engine)
    window = window_of(store, index, vectors_ND, embedder, config.num_neighbours)
    _, greatest = config.window or window
    ordered_ND = vectors_ND[_places(index, order)]
    with tempfile.TemporaryDirectory(dir=store.directory) as temporary:
        vectors = VectorIndex(ordered_ND, Path(temporary) / "vectors.faiss")
        yield from vectors.pairs_above(greatest * QUANTUM**2, first_new)


def _places(index: ImageIndex, names: Sequence[str]) -> NDArray[np.int64]:
    place_of = {name: place for place, name in enumerate(index.sha256)}
    return np.array([place_of[name] for name in names])
