"""Images of a store as workers read them: by file, without the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.engines import EngineError
from builder.images.blobs import Blobs
from builder.images.store import ImageStore


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An image's name in the store, and the name of its file."""

    name: str
    file_name: str


def stored_files(store: ImageStore, names: Sequence[str]) -> list[StoredFile]:
    """The files of images, in the order given."""
    return [StoredFile(name, store.path_of(name).name) for name in names]


def read_stored(store_directory: str, file: StoredFile) -> bytes:
    """An image's bytes.

    Raises:
        EngineError: The file is missing, or this machine does not see the store.
    """
    path = Blobs(Path(store_directory) / "blobs").path(file.file_name)
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise EngineError(
            f"{path}: a worker cannot see this file. Put the workspace on storage that all "
            "machines mount at the same path; if it is missing there too, add the images again."
        ) from exc
