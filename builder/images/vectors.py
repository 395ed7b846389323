"""Embeddings of a store's images, each computed once and kept in its directory."""

# N images, D embedding

import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builder.engines import Engine
from builder.images.embedders import Embedder
from builder.images.store import ImageStore
from schemas.pictures import open_picture

#: Vectors of unit length are stored as integers times 1 / QUANTUM. Products of such vectors
#: are integers below 2**24, so float32 sums them exactly in any order: every machine and
#: number of threads finds the same neighbours.
QUANTUM = 2048
_DECODED_SIDE_PX = 512
IMAGES_PER_PART = 4096
File = TypeVar("File")


def embed_images(
    store: ImageStore,
    sha256: Sequence[str],
    embedder: Embedder,
    on_progress: Callable[[int], None] | None = None,
    engine: Engine | None = None,
) -> NDArray[np.int16]:
    """Vectors of the given images, in their order, shape (N, D), times `QUANTUM`.

    Only images that were never embedded are read; an interruption loses at most
    one part of a few thousand images. With an engine, its workers write the parts.
    """
    directory = vectors_directory(store, embedder)
    known = _read_parts(directory)
    missing = [name for name in sha256 if name not in known]
    if on_progress:
        on_progress(len(sha256) - len(missing))
    if engine is not None and missing:
        from builder.images.worker_vectors import embed_with

        embed_with(engine, store, missing, embedder, directory, on_progress)
        known, missing = _read_parts(directory), []
    for start in range(0, len(missing), IMAGES_PER_PART):
        names = missing[start : start + IMAGES_PER_PART]
        vectors_ND = embed_files(lambda n: store.read(n).data, names, embedder, on_progress)
        write_part(directory, names, vectors_ND)
        known.update(zip(names, vectors_ND, strict=True))
    if not sha256:
        return np.zeros((0, 1), dtype=np.int16)
    return np.stack([known[name] for name in sha256])


def embed_files(
    read: Callable[[File], bytes],
    files: Sequence[File],
    embedder: Embedder,
    on_progress: Callable[[int], None] | None = None,
    num_threads: int | None = None,
) -> NDArray[np.int16]:
    """Vectors of files that `read` reads, shape (N, D), times `QUANTUM`.

    On CPUs every thread decodes and embeds batches of its own. A vector then depends on its
    batch, not on how many cores share the work, which would change the order of its sums. A GPU
    embeds one batch after another, decoded by the threads.
    """
    starts = range(0, len(files), embedder.batch_size)
    batches = [files[start : start + embedder.batch_size] for start in starts]
    parts: list[NDArray[np.int16]] = []
    on_cpu = embedder.device == "cpu"
    num_threads = num_threads or (os.cpu_count() if on_cpu else None)
    with ThreadPoolExecutor(num_threads, initializer=_compute_alone) as pool:

        def picture(file: File) -> Image.Image:
            return decode(read(file))

        def embed(batch: Sequence[File]) -> NDArray[np.float32]:
            return embedder.embed([picture(file) for file in batch])

        def embed_on_gpu(batch: Sequence[File]) -> NDArray[np.float32]:
            return embedder.embed(list(pool.map(picture, batch)))

        vectors = pool.map(embed, batches) if on_cpu else map(embed_on_gpu, batches)
        for batch, vectors_BD in zip(batches, vectors, strict=True):
            parts.append(np.rint(vectors_BD * QUANTUM).astype(np.int16))
            if on_progress:
                on_progress(len(batch))
    return np.concatenate(parts)


def _compute_alone() -> None:
    """Keeps torch, where an embedder uses it, to the thread that calls it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)  # of this thread


def vectors_directory(store: ImageStore, embedder: Embedder) -> Path:
    """Where the vectors of an embedder are kept."""
    return store.directory / "embeddings" / _slug(embedder.name)


def decode(data: bytes) -> Image.Image:
    """The image at a size for vision models; its orientation is not corrected."""
    with open_picture(data) as image:
        image.draft("RGB", (_DECODED_SIDE_PX, _DECODED_SIDE_PX))
        image.load()
        if max(image.size) > _DECODED_SIDE_PX:
            image.thumbnail((_DECODED_SIDE_PX, _DECODED_SIDE_PX), reducing_gap=2.0)
        return image.copy()


def _read_parts(directory: Path) -> dict[str, NDArray[np.int16]]:
    known: dict[str, NDArray[np.int16]] = {}
    for path in sorted(directory.glob("*.npz")):
        try:
            with np.load(path) as part:
                known.update(zip(part["sha256"].tolist(), part["vectors"], strict=True))
        except (OSError, ValueError, KeyError):  # a damaged part: computed again
            path.unlink()
    return known


def write_part(directory: Path, names: Sequence[str], vectors_ND: NDArray[np.int16]) -> None:
    """Keeps vectors of images in a file named by its content; it appears whole."""
    directory.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    temporary = directory / f"{digest}.{os.getpid()}.part"
    with temporary.open("wb") as handle:
        np.savez(handle, sha256=np.array(names), vectors=vectors_ND)
    temporary.replace(directory / f"{digest}.npz")


def _slug(name: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[-60:]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
