"""Pictures of a benchmark by the paths its rows name: in folders, zip and tar archives."""

import hashlib
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Protocol

from PIL import Image

from schemas.pictures import PictureError, read_picture
from trainer.data.image_store import ImageStore
from trainer.progress import progress_bar

#: Larger files are not read; no benchmark has such pictures.
MAX_FILE_BYTES = 256 << 20
_CHECKED_SIDE_PX = 64
_CHUNK = 512


class Place(Protocol):
    """A place with pictures."""

    def read(self, name: str) -> bytes | None:
        """Content of a file; None if there is none of this name, or it is too large."""


class Folder:
    """A folder; links that lead out of it are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def read(self, name: str) -> bytes | None:
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root) or not path.is_file():
            return None
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        return path.read_bytes()


class ZipArchive:
    """A zip file, read in place."""

    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path)
        self._names = frozenset(self._file.namelist())
        self._prefixes = ("", "images/", f"{path.stem}/")
        self._lock = Lock()

    def read(self, name: str) -> bytes | None:
        found = next((p + name for p in self._prefixes if p + name in self._names), None)
        if found is None or self._file.getinfo(found).file_size > MAX_FILE_BYTES:
            return None
        with self._lock:  # its members share one position
            return self._file.read(found)


class TarArchive:
    """A tar file, from which the files asked for are taken in one pass."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._prefix = f"{path.name.split('.')[0]}/"
        self._store = ImageStore()
        self._kept: dict[str, str] = {}

    def fetch(self, names: Iterable[str]) -> None:
        """Takes these files out of the archive."""
        wanted = {name for name in names if name not in self._kept}
        if not wanted:
            return
        with tarfile.open(self._path) as archive:
            for member in archive:
                name = member.name.removeprefix("./").removeprefix(self._prefix)
                if name not in wanted or not member.isfile() or member.size > MAX_FILE_BYTES:
                    continue
                file = archive.extractfile(member)
                if file is not None:
                    self._kept[name] = self._store.add(file.read())

    def read(self, name: str) -> bytes | None:
        sha256 = self._kept.get(name)
        return None if sha256 is None else self._store[sha256]


class ImageFiles:
    """Pictures by sha256, from paths that rows name.

        images = ImageFiles(places_in(Path("MMEB-eval")))
        images.add(["ImageNet-1K/a.jpg", "../../etc/passwd"])
        images.sha256["ImageNet-1K/a.jpg"], images.problems["../../etc/passwd"]

    Args:
        places: Asked in their order.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = list(places)
        self._path_of: dict[str, str] = {}
        self.sha256: dict[str, str] = {}
        self.problems: dict[str, str] = {}

    def add(self, names: Iterable[str]) -> None:
        """Reads pictures, and notes what is wrong with those that cannot be read.

        Every picture is decoded once at reduced size, so that none fails later.
        """
        new = [name for name in dict.fromkeys(names) if name not in self.sha256]
        new = [name for name in new if name not in self.problems]
        plain = [name for name in new if is_plain_path(name)]
        outside = "path outside the benchmark's folder"
        self.problems.update(dict.fromkeys(set(new) - set(plain), outside))
        for place in self._places:
            if isinstance(place, TarArchive):
                place.fetch(plain)
        with (
            ThreadPoolExecutor() as pool,
            progress_bar("reading pictures", len(plain)) as advance,
        ):
            for chunk in _chunks(plain):
                for name, (sha256, problem) in zip(
                    chunk, pool.map(self._check, chunk), strict=True
                ):
                    if problem is not None:
                        self.problems[name] = problem
                    else:
                        self.sha256[name] = sha256
                        self._path_of.setdefault(sha256, name)
                advance(len(chunk))

    def picture(self, sha256: str) -> Image.Image:
        """The decoded picture, upright RGB on white."""
        data = self._read(self._path_of[sha256])
        assert data is not None
        return read_picture(data)

    def _check(self, name: str) -> tuple[str, str | None]:
        try:
            data = self._read(name)
            if data is None:
                return "", "picture not there"
            read_picture(data, max_side_px=_CHECKED_SIDE_PX)
        except PictureError as exc:
            return "", f"picture unreadable: {exc.what}"
        except (OSError, zipfile.BadZipFile, RuntimeError) as exc:
            return "", f"picture unreadable ({type(exc).__name__})"
        return hashlib.sha256(data).hexdigest(), None

    def _read(self, name: str) -> bytes | None:
        found = (place.read(name) for place in self._places)
        return next((data for data in found if data is not None), None)


def is_plain_path(name: str) -> bool:
    """Whether a name is a relative path that stays where it begins."""
    parts = name.removeprefix("./").split("/")
    return (
        name.isprintable()
        and "\\" not in name
        and len(name) <= 4096
        and all(part not in ("", ".", "..") for part in parts)
    )


def _chunks(names: list[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
