"""Features of frozen towers on disk, by content hash, within a size limit in bytes."""

import logging
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from schemas.errors import naming

_LOG = logging.getLogger(__name__)

#: Environment variable that names another directory for the features.
CACHE_VARIABLE = "POLYSCENE_FEATURES"
MAX_CACHE_BYTES = 2**30
_CHUNK_NAME = re.compile(r"[0-9a-f]{16}\.(npz|part)")
#: A chunk is written in seconds; an unfinished file older than this was left behind.
_MAX_WRITING_S = 3_600


def default_cache_dir() -> Path:
    """Where features are kept: `POLYSCENE_FEATURES`, or the user's cache."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "polyscene" / "features"


class FeatureCache:
    """Features by content hash, one folder per tower, in chunk files that are whole or absent.

    Args:
        directory: Holds the folders; made on first use.
        max_bytes: Above it, the least recently read chunks are removed.
    """

    def __init__(self, directory: Path, *, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self.directory = directory
        self.max_bytes = max_bytes

    @property
    def num_bytes(self) -> int:
        return sum(size for _, size, _ in self._chunks())

    def read(self, tower: str, keys: Collection[str]) -> dict[str, NDArray[np.float32]]:
        """What is kept of these keys; nothing else stays in memory."""
        wanted = set(keys)
        found: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self._folder(tower).glob("*.npz")):
            try:
                with np.load(path) as chunk:
                    held = chunk["keys"].tolist()
                    rows = {key: row for row, key in enumerate(held) if key in wanted}
                    if not rows:
                        continue
                    features = chunk["features"]
                    if len(held) != len(features):
                        raise ValueError(f"{len(held)} keys, {len(features)} features")
            except (OSError, ValueError, KeyError, BadZipFile) as exc:
                _LOG.warning("%s: broken (%s); its features are computed again", path, exc)
                path.unlink(missing_ok=True)
                continue
            found.update((key, features[row].copy()) for key, row in rows.items())
            os.utime(path)
        return found

    def add(self, tower: str, features: Mapping[str, NDArray[np.float32]]) -> None:
        """Keeps features in a chunk of their own, and makes room for it."""
        folder = self._folder(tower)
        name = secrets.token_hex(8)
        unfinished = folder / f"{name}.part"
        try:
            with naming(folder), unfinished.open("wb") as file:
                stacked = np.stack([*features.values()])
                np.savez(file, keys=np.array(list(features)), features=stacked)
            unfinished.rename(folder / f"{name}.npz")
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        self._make_room()

    def clear(self) -> int:
        """Removes every chunk and the folders that leaves empty; returns the bytes freed."""
        num_bytes = 0
        for path, size, _ in self._chunks():
            path.unlink(missing_ok=True)
            num_bytes += size
        for folder in [*self.directory.glob("*/"), self.directory]:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return num_bytes

    def _make_room(self) -> None:
        chunks = sorted(self._chunks(), key=lambda chunk: chunk[2])
        num_bytes = sum(size for _, size, _ in chunks)
        newest = chunks[-1][0]
        for path, size, used in chunks:
            is_abandoned = path.suffix == ".part" and used < time.time() - _MAX_WRITING_S
            if is_abandoned or (num_bytes > self.max_bytes and path != newest):
                path.unlink(missing_ok=True)
                num_bytes -= size

    def _chunks(self) -> Iterator[tuple[Path, int, float]]:
        """Files of the cache with size and time of last use; nothing else in the directory."""
        for path in self.directory.glob("*/*"):
            if _CHUNK_NAME.fullmatch(path.name):
                try:
                    status = path.stat()
                except FileNotFoundError:  # another process made room
                    continue
                yield path, status.st_size, status.st_mtime

    def _folder(self, tower: str) -> Path:
        """The tower's folder, created at once, so that an error is reported before the work."""
        folder = self.directory / re.sub(r"[^\w.-]", "_", tower)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
