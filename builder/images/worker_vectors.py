"""Embeds and hashes a store's images on the workers of an engine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from builder.engines import Engine, EngineError
from builder.images.descriptor import DescriptorEmbedder
from builder.images.embedders import Embedder, named_embedder
from builder.images.fingerprint import look_hash
from builder.images.store import ImageStore
from builder.images.stored_files import StoredFile, read_stored, stored_files
from builder.images.vectors import IMAGES_PER_PART, decode, embed_files, write_part

#: Parts per worker, so that none is idle for long at the end.
_PARTS_PER_WORKER = 4
_LOOKS_PER_CHUNK = 512


@dataclass(frozen=True, slots=True)
class _EmbedJob:
    """The same for all parts.

    Args:
        store_directory: Of the images.
        directory: Where the vectors are kept.
        model: What the embedder is loaded by.
        name: What it must be called then, which tells weights apart.
    """

    store_directory: str
    directory: str
    model: str
    name: str


def embed_with(
    engine: Engine,
    store: ImageStore,
    names: Sequence[str],
    embedder: Embedder,
    directory: Path,
    on_progress: Callable[[int], None] | None,
) -> None:
    """Has workers embed images and write the vectors, each part as a file.

    Raises:
        EngineError: A worker does not see the store, or has other weights.
    """
    directory.mkdir(parents=True, exist_ok=True)
    is_descriptor = isinstance(embedder, DescriptorEmbedder)
    model = "descriptor" if is_descriptor else embedder.name.rpartition("@")[0] or embedder.name
    job = _EmbedJob(_absolute(store.directory), _absolute(directory), model, embedder.name)
    size = _part_size(len(names), engine.num_workers, embedder.batch_size)
    parts = _parts(store, names, size)
    for part, _ in engine.map_chunks(_embed_part, parts, job, uses_gpu=not is_descriptor):
        if on_progress:
            on_progress(len(part))


def hash_looks_with(
    engine: Engine,
    store: ImageStore,
    names: Sequence[str],
    on_progress: Callable[[int], None] | None,
) -> dict[str, bytes]:
    """Look hash of each image, computed by workers."""
    found: dict[str, bytes] = {}
    parts = _parts(store, names, _LOOKS_PER_CHUNK)
    for part, looks in engine.map_chunks(_hash_part, parts, _absolute(store.directory)):
        found.update((file.name, look) for file, look in zip(part, looks, strict=True))
        if on_progress:
            on_progress(len(part))
    return found


def _embed_part(job: _EmbedJob, part: Sequence[StoredFile]) -> None:
    """Runs in a worker, which loads the model once."""
    embedder = _loaded(job.model)
    if embedder.name != job.name:
        raise EngineError(
            f"a worker loaded {embedder.name} where {job.name} is needed. Install the same version "
            "of the embedder's weights on all machines."
        )
    vectors_ND = embed_files(
        lambda file: read_stored(job.store_directory, file),
        part,
        embedder,
        num_threads=1 if embedder.device == "cpu" else None,
    )
    write_part(Path(job.directory), [file.name for file in part], vectors_ND)


def _hash_part(store_directory: str, part: Sequence[StoredFile]) -> list[bytes]:
    return [look_hash(decode(read_stored(store_directory, file))).tobytes() for file in part]


@lru_cache(1)
def _loaded(model: str) -> Embedder:
    return named_embedder(model)


def _part_size(num_images: int, num_workers: int, batch_size: int) -> int:
    """Images per part: whole batches, so that every engine embeds the same batches."""
    num_parts = num_workers * _PARTS_PER_WORKER
    num_batches = -(-num_images // (num_parts * batch_size))
    return min(IMAGES_PER_PART, max(1, num_batches) * batch_size)


def _parts(store: ImageStore, names: Sequence[str], size: int) -> Iterator[list[StoredFile]]:
    for start in range(0, len(names), size):
        yield stored_files(store, names[start : start + size])


def _absolute(path: Path) -> str:
    return str(path.absolute())
