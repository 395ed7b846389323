"""Files that driver and workers share: on a common disk or in an object store, through fsspec."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from builder.engines.engine import EngineError

#: What stores call that which changes with a file's content, the surest first.
_VERSIONS = ("ETag", "etag", "blob_id", "mtime", "LastModified", "updated", "created")
#: Kinds of addresses that are read and written; anything else is a mistake or a trick.
_PROTOCOLS = ("file", "memory", "s3", "gs", "gcs", "hf", "az", "abfs")


def is_url(name: str) -> bool:
    """Whether a name is an address such as `s3://bucket/folder`, not a path."""
    return "://" in name


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file below a directory: its path there, and what changes when the file does."""

    path: str
    num_bytes: int
    version: str


class Storage:
    """A directory on a disk or in an object store.

    Args:
        url: `s3://bucket/folder`, `gs://`, `hf://`, `az://`, `file://`, or a path.

    Raises:
        EngineError: The kind of address is unknown, or its package is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        protocol = url.split("://", 1)[0] if is_url(url) else "file"
        if protocol not in _PROTOCOLS:
            raise EngineError(f"{url}: use a path or one of {', '.join(_PROTOCOLS)}://.")
        try:
            self._fs, root = fsspec.url_to_fs(url if is_url(url) else str(Path(url).absolute()))
        except (ImportError, ValueError) as exc:
            raise EngineError(f"{url}: {exc}. Install that package and try again.") from exc
        self._fs: Any
        self.url = url
        self._root = str(root).rstrip("/")
        self._is_disk = "file" in self._fs.protocol or "local" in self._fs.protocol

    @property
    def directory(self) -> Path | None:
        """The directory, if it is on a disk."""
        return Path(self._root) if self._is_disk else None

    def exists(self, name: str) -> bool:
        return bool(self._fs.exists(f"{self._root}/{name}"))

    def open(self, name: str) -> BinaryIO:
        """Opens a file to read.

        Raises:
            FileNotFoundError: There is none.
        """
        return self._fs.open(f"{self._root}/{name}", "rb")

    def files(self) -> Iterator[StoredFile]:
        """All files below, in order of path.

        Raises:
            EngineError: The directory cannot be listed.
        """
        try:
            found = self._fs.find(self._root, detail=True, withdirs=False)
        except Exception as exc:  # each store has its own errors
            problem = " ".join(str(exc).split())[:300]
            raise EngineError(f"{self.url}: cannot be listed ({problem}).") from exc
        if not found:
            raise EngineError(f"{self.url}: no files there. Name another address.")
        for full, facts in sorted(found.items()):
            version = next((str(facts[key]) for key in _VERSIONS if facts.get(key)), "")
            relative = full[len(self._root) :].lstrip("/") or full.rsplit("/", 1)[-1]
            yield StoredFile(relative, int(facts.get("size") or 0), version)

    def fetch(self, name: str, into: Path) -> None:
        """Copies a file to this machine.

        Raises:
            EngineError: Its name leads out of the folder.
        """
        if ".." in PurePosixPath(name).parts:
            raise EngineError(f"{self.url}: the name {name!r} leads out of the folder. Rename it.")
        into.parent.mkdir(parents=True, exist_ok=True)
        self._fs.get_file(f"{self._root}/{name}", str(into))

    def publish(self, file: Path, name: str) -> None:
        """Copies a finished file here; it appears whole or not at all."""
        target = f"{self._root}/{name}"
        self._fs.makedirs(self._root, exist_ok=True)
        if not self._is_disk:
            self._fs.put_file(str(file), target)  # object stores show whole objects only
            return
        temporary = f"{target}.{os.getpid()}-{threading.get_ident()}.part"
        self._fs.put_file(str(file), temporary)
        Path(temporary).replace(target)

    def publish_bytes(self, data: bytes, name: str) -> None:
        """Writes a small file, such as a marker."""
        self._fs.makedirs(self._root, exist_ok=True)
        self._fs.pipe_file(f"{self._root}/{name}", data)

    def delete(self, name: str) -> None:
        """Deletes a file if it is there."""
        if self.exists(name):
            self._fs.rm_file(f"{self._root}/{name}")
