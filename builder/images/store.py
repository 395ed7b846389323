"""The image store: bytes by their sha256 in sharded folders, facts about them in SQLite."""

import hashlib
import io
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from builder.config import ImagesConfig
from builder.disk import sync
from builder.images.data_url import encoded, needs_scaling, scaled
from builder.images.record import COLUMNS, ImageRecord, printable
from builder.images.vetting import Vetted, vet
from schemas.errors import PolysceneError
from schemas.pictures import PictureError
from schemas.shards import ImageFile

#: Parameters that SQLite accepts in a statement, also in older versions.
_MAX_MARKS = 900
_SCHEMA = """
CREATE TABLE IF NOT EXISTS image (
    sha256 TEXT PRIMARY KEY,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    num_bytes INTEGER NOT NULL,
    phash TEXT NOT NULL,
    image_group TEXT NOT NULL,
    licence TEXT NOT NULL,
    source TEXT NOT NULL,
    languages TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refused (
    name TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    what TEXT NOT NULL
) WITHOUT ROWID;
"""


class ImageStoreError(PolysceneError):
    """The store lacks an image or its files are damaged."""


class ImageStore:
    """A content-addressed store; adding the same bytes twice changes nothing.

    A blob is completely on disk before its row is committed, so a crash leaves at
    most blobs without a row, which are written again when they are added again.

    Args:
        directory: Made if missing.
        limits: Limits on the images that `add` accepts.
    """

    def __init__(self, directory: Path, limits: ImagesConfig | None = None) -> None:
        self.directory = directory
        self.limits = limits or ImagesConfig()
        self._lock = threading.RLock()
        self._pending: list[Path] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(
                directory / "images.sqlite",
                check_same_thread=False,
                isolation_level=None,
                timeout=30.0,
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as exc:
            raise ImageStoreError(
                f"{directory / 'images.sqlite'}: {exc}. Restore it from a backup, or delete "
                f"{directory} and add the images again."
            ) from exc

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM image").fetchone()[0])

    def mean_bytes(self) -> float:
        """Mean size of the images; 0 of an empty store."""
        with self._lock:
            return float(
                self._db.execute(
                    "SELECT total(num_bytes) / max(1, count(*)) FROM image"
                ).fetchone()[0]
            )

    def __contains__(self, sha256: str) -> bool:
        return self._find(sha256) is not None

    def add(
        self,
        data: bytes,
        *,
        group: str | None = None,
        licence: str = "unknown",
        source: str = "unknown",
        languages: Iterable[str] | None = None,
        vetted: Vetted | None = None,
    ) -> ImageRecord:
        """Stores an image, unless the store already has it.

        Args:
            data: The whole file; stored unchanged.
            group: Defaults to the perceptual hash, so copies share a split.
            licence: As the source states it.
            source: A URL, or a path inside the added source.
            languages: See `ImageRecord`.
            vetted: The result of `vet` for these bytes, if it was called before.

        Raises:
            ImageRefusedError: The image is not suitable; nothing is stored.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        found = self._find(sha256)
        if found is not None:
            if not self._blob_path(found).exists():
                self._write_blob(self._blob_path(found), data)
            return found
        vetted = vetted or vet(data, self.limits)
        record = ImageRecord(
            sha256,
            vetted.format,
            vetted.width,
            vetted.height,
            len(data),
            vetted.phash,
            printable(group) if group is not None else f"look:{vetted.phash}",
            printable(licence),
            printable(source),
            tuple(sorted(languages)) if languages is not None else None,
        )
        self._write_blob(self._blob_path(record), data)
        with self._lock:
            marks = ", ".join("?" * len(record.to_row()))
            self._db.execute(
                f"INSERT OR IGNORE INTO image ({COLUMNS}) VALUES ({marks})", record.to_row()
            )
        return record

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Additions inside the block share one sync to disk and one commit at the end.

        If the block raises, none of them is added.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._pending = []
            try:
                yield
                if self._pending:
                    os.sync()  # once for all: an fsync per file takes some 5 ms
                self._db.execute("COMMIT")
            except BaseException as exc:
                if self._db.in_transaction:  # on a full disk SQLite rolls back by itself
                    self._db.execute("ROLLBACK")
                if isinstance(exc, sqlite3.Error):
                    raise ImageStoreError(
                        f"{self.directory}: cannot write ({exc}). Free some space or name another "
                        "workspace, then add the images again; whole batches are kept."
                    ) from exc
                raise
            finally:
                self._pending = None

    def refuse(self, name: str, reason: str, what: str) -> None:
        """Records that a file was refused, and why."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO refused VALUES (?,?,?)",
                (printable(name), reason, printable(what)),
            )

    def accept(self, name: str) -> None:
        """Deletes the record of a refusal, since the file is now accepted."""
        with self._lock:
            self._db.execute("DELETE FROM refused WHERE name = ?", (printable(name),))

    def refused(self) -> list[tuple[str, str, str]]:
        """Name, reason and explanation of every refused file, in order of name."""
        with self._lock:
            return self._db.execute("SELECT name, reason, what FROM refused").fetchall()

    def refused_by_reason(self) -> Counter[str]:
        with self._lock:
            rows = self._db.execute("SELECT reason, count(*) FROM refused GROUP BY 1").fetchall()
        return Counter(dict(rows))

    def record(self, sha256: str) -> ImageRecord:
        """Facts about one image.

        Raises:
            ImageStoreError: It is not in the store.
        """
        found = self._find(sha256)
        if found is None:
            raise self._no_image(sha256)
        return found

    def records(self) -> Iterator[ImageRecord]:
        """All images in order of sha256, read in pages so that writers need not wait."""
        last = ""
        while True:
            with self._lock:
                rows = self._db.execute(
                    f"SELECT {COLUMNS} FROM image WHERE sha256 > ? ORDER BY sha256 LIMIT 5000",
                    (last,),
                ).fetchall()
            if not rows:
                return
            yield from (ImageRecord.from_row(row) for row in rows)
            last = rows[-1][0]

    def read(self, sha256: str) -> ImageFile:
        """The bytes, unchanged, and the file name they are published under.

        Raises:
            ImageStoreError: Not in the store, or its file is missing.
        """
        record = self.record(sha256)
        return ImageFile(self._read_blob(record), record.file_name)

    def records_of(self, hashes: Collection[str]) -> dict[str, ImageRecord]:
        """Facts about many images, by hash.

        Raises:
            ImageStoreError: One of them is not in the store.
        """
        found: dict[str, ImageRecord] = {}
        wanted = sorted(hashes)
        for start in range(0, len(wanted), _MAX_MARKS):
            part = wanted[start : start + _MAX_MARKS]
            marks = ", ".join("?" * len(part))
            with self._lock:
                rows = self._db.execute(
                    f"SELECT {COLUMNS} FROM image WHERE sha256 IN ({marks})", part
                ).fetchall()
            found.update((row[0], ImageRecord.from_row(row)) for row in rows)
        for sha256 in wanted:
            if sha256 not in found:
                raise self._no_image(sha256)
        return found

    def read_into(self, record: ImageRecord, into: memoryview) -> None:
        """Reads an image's bytes into memory of exactly their size.

        Raises:
            ImageStoreError: Its file is missing, or its bytes do not match its hash.
        """
        try:
            with io.FileIO(self._blob_path(record)) as file:
                num_bytes = file.readinto(into)
        except FileNotFoundError as exc:
            raise self._no_file(record) from exc
        if num_bytes != len(into) or hashlib.sha256(into).hexdigest() != record.sha256:
            raise ImageStoreError(
                f"{self._blob_path(record)}: the image's file is damaged. Delete it, then add the "
                "images again: `python -m builder images add`."
            )

    def path_of(self, sha256: str) -> Path:
        """Path of the image's file."""
        return self._blob_path(self.record(sha256))

    def data_url(self, sha256: str, max_side_px: int) -> str:
        """The image as endpoints accept it.

        Bytes are unchanged if no side is longer than `max_side_px`; otherwise
        the image is scaled and encoded once, and kept on disk.
        """
        record = self.record(sha256)
        if not needs_scaling(record.width, record.height, record.num_bytes, max_side_px):
            media_type = f"image/{record.format.lower()}"
            return encoded(self._read_blob(record), media_type)
        path = self.directory / "scaled" / str(max_side_px) / sha256[:2] / f"{sha256}.jpg"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = self._scaled(record, max_side_px)
            _write_atomically(path, data)
        return encoded(data, "image/jpeg")

    def _scaled(self, record: ImageRecord, max_side_px: int) -> bytes:
        try:
            return scaled(self._read_blob(record), max_side_px)
        except PictureError as exc:
            raise ImageStoreError(
                f"{self._blob_path(record)}: {exc}. Remove the image from the corpus: no part of "
                "polyscene can read it."
            ) from exc

    def _find(self, sha256: str) -> ImageRecord | None:
        with self._lock:
            row = self._db.execute(
                f"SELECT {COLUMNS} FROM image WHERE sha256 = ?", (sha256,)
            ).fetchone()
        return ImageRecord.from_row(row) if row else None

    def _blob_path(self, record: ImageRecord) -> Path:
        return self.directory / "blobs" / record.sha256[:2] / record.file_name

    def _read_blob(self, record: ImageRecord) -> bytes:
        try:
            return self._blob_path(record).read_bytes()
        except FileNotFoundError as exc:
            raise self._no_file(record) from exc

    def _no_image(self, sha256: str) -> ImageStoreError:
        return ImageStoreError(
            f"{self.directory}: no image {sha256[:12]}…. Add it again with "
            "`python -m builder images add`."
        )

    def _no_file(self, record: ImageRecord) -> ImageStoreError:
        return ImageStoreError(
            f"{self._blob_path(record)}: the image's file is missing. Add the images again: "
            "`python -m builder images add`."
        )

    def _write_blob(self, path: Path, data: bytes) -> None:
        _write_atomically(path, data)
        if self._pending is None:
            sync(path)
            sync(path.parent)
        else:
            self._pending.append(path)


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
