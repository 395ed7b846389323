"""File contents on disk, by SHA-256: complete and verified, or absent."""

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.disk import sync
from builder.local_hub.errors import bad_request
from builder.local_hub.storage.names import is_sha256

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Received:
    """A temporary file, hashed while it was written."""

    path: Path
    sha256: str
    size: int


class HashingWriter:
    """Writes to a file and hashes what is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def flush(self) -> None:
        """Flush the file to the operating system."""
        self._file.flush()

    def sha256(self) -> str:
        """The hash of everything so far, in hex."""
        return self._digest.hexdigest()


class BlobStore:
    """Contents under `blobs/ab/abcdef…`, temporary files under `incoming/`, parts in `aside/`."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._incoming = root / "incoming"
        self._aside = root / "aside"

    def open(self) -> None:
        """Makes the folders, and deletes half-written files of an earlier process."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)
        self._blobs.mkdir(exist_ok=True)
        self._aside.mkdir(exist_ok=True)

    def path(self, sha256: str) -> Path:
        """The path of this content, whether stored or not."""
        assert is_sha256(sha256), "a blob is named by its hash alone"
        return self._blobs / sha256[:2] / sha256

    def size(self, sha256: str) -> int | None:
        """The content's size in bytes, `None` if it is absent."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, sha256: str) -> bytes:
        """A small content, whole."""
        return self.path(sha256).read_bytes()

    def free_bytes(self) -> int:
        """Free space on the disk."""
        return shutil.disk_usage(self._incoming).free

    def temporary_path(self) -> Path:
        """A new path under `incoming/`; the caller removes the file."""
        return self._incoming / secrets.token_hex(16)

    @contextmanager
    def receive(self) -> Iterator[tuple[Path, HashingWriter]]:
        """A temporary file for an incoming content, removed at the end unless moved away."""
        path = self.temporary_path()
        try:
            with path.open("xb") as file:
                yield path, HashingWriter(file)
        finally:
            path.unlink(missing_ok=True)

    def keep(self, received: Received, sha256: str, size: int) -> None:
        """Moves a received file into the store if it matches the announcement.

        Raises:
            HubError: 400 if its hash or its size differ from the announcement.
        """
        if (received.sha256, received.size) != (sha256, size):
            raise bad_request(
                f"Uploaded content does not match its announcement: expected sha256 {sha256} and "
                f"{size} bytes, got sha256 {received.sha256} and {received.size} bytes. "
                "Upload the file again."
            )
        if self.size(sha256) == size:
            return
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        sync(received.path)
        received.path.replace(target)
        sync(target.parent)

    def aside_path(self, name: str) -> Path:
        """The path of something that becomes part of a content later, also after a restart."""
        return self._aside / name

    def set_aside(self, received: Received, path: Path) -> None:
        """Keeps a received file at `aside_path`; it is on disk when this returns."""
        sync(received.path)
        received.path.replace(path)
        sync(self._aside)

    def add(self, content: bytes) -> str:
        """Stores a content from memory and returns its SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        if self.size(sha256) != len(content):
            with self.receive() as (path, writer):
                writer.write(content)
                writer.flush()
                self.keep(Received(path, writer.sha256(), writer.size), sha256, len(content))
        return sha256

    def prune(self, referenced: set[str], repo_row_ids: set[int]) -> None:
        """Removes contents that no repository refers to, and files set aside for deleted ones."""
        for path in self._blobs.glob("??/*"):
            if path.name not in referenced:
                path.unlink()
        for path in self._aside.glob("*-*"):
            if path.name.split("-")[0] not in {str(row_id) for row_id in repo_row_ids}:
                path.unlink()


def git_blob_oid(content: bytes) -> str:
    """The SHA-1 by which git names a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The pointer file that git keeps in place of an LFS file."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )
