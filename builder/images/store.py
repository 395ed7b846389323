"""The image store: pictures in their normal form by its sha256, facts about them in SQLite."""

import hashlib
import io
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from builder.config import ImagesConfig
from builder.images.blobs import Blobs, write_atomically
from builder.images.data_url import encoded, needs_scaling, scaled
from builder.images.database import ImageStoreError, open_database
from builder.images.file_notes import FileNotes
from builder.images.licences import spdx_id
from builder.images.names import MAX_MARKS, ImageNames
from builder.images.normal import normal_of, normal_or_same
from builder.images.record import COLUMNS, ImageRecord, printable
from builder.images.staged import StagedFile
from builder.images.vetting import Vetted, measured, vet
from schemas.pictures import PictureError
from schemas.shards import ImageFile


class ImageStore(FileNotes, ImageNames):
    """A content-addressed store; adding the same file twice changes nothing.

    What is stored is the picture's normal form, and its hash is the image's
    name. A blob is completely on disk before its row is committed, so a crash
    leaves at most blobs without a row, which are written again when they are
    added again.

    Args:
        directory: Made if missing.
        limits: Limits on the images that `add` accepts.
    """

    def __init__(self, directory: Path, limits: ImagesConfig | None = None) -> None:
        self.directory = directory
        self.limits = limits or ImagesConfig()
        self.num_inserted = 0
        directory.mkdir(parents=True, exist_ok=True)
        self._blobs = Blobs(directory / "blobs")
        super().__init__(open_database(directory), threading.RLock())

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count("SELECT count(*) FROM image")

    def mean_bytes(self) -> float:
        """Mean size of the images; 0 of an empty store."""
        query = "SELECT total(num_bytes) / max(1, count(*)) FROM image"
        with self._lock:
            return float(self._db.execute(query).fetchone()[0])

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
        caption: str | None = None,
        alt_text: str | None = None,
        vetted: Vetted | None = None,
        staged: StagedFile | None = None,
    ) -> ImageRecord:
        """Stores an image in its normal form, unless the store already has it.

        Args:
            data: The whole file; recognised when it is added again.
            group: Defaults to the perceptual hash, so copies share a split.
            licence: As the source states it.
            source: A URL, or a path inside the added source.
            languages: See `ImageRecord`.
            caption: Text that came with the image.
            alt_text: Its alternative text.
            vetted: The result of `vet` for these bytes, if it was called before.
            staged: Replaces bytes and result where a worker handled the file.

        Raises:
            ImageRefusedError: The image is not suitable; nothing is stored.
        """
        came_as = staged.came_as if staged else hashlib.sha256(data).hexdigest()
        found = self._find(came_as)
        if found is not None:
            if not staged and not self._blobs.path(found.file_name).exists():
                is_same = came_as == found.sha256
                self._blobs.write(found.file_name, data if is_same else normal_of(data).data)
            return found
        if staged is None:
            vetted = vetted or vet(data, self.limits)
            sha256 = came_as if vetted.data is data else hashlib.sha256(vetted.data).hexdigest()
            staged = StagedFile(came_as, len(data), sha256, len(vetted.data), vetted)
        vetted, sha256 = staged.vetted, staged.sha256
        present = self._find(sha256)
        if present is not None:  # another file with the same picture
            self._remember(came_as, present)
            return present
        record = ImageRecord(
            sha256,
            vetted.format,
            vetted.width,
            vetted.height,
            staged.num_bytes,
            vetted.phash,
            printable(group) if group is not None else f"look:{vetted.phash}",
            printable(licence),
            printable(source),
            tuple(sorted(languages)) if languages is not None else None,
            name=sha256,
            licence_id=spdx_id(licence),
            caption=None if caption is None else printable(caption),
            alt_text=None if alt_text is None else printable(alt_text),
            original=staged.original if sha256 != came_as else None,
        )
        self._insert(record, vetted.data)
        self._remember(came_as, record)
        return record

    def restore(self, data: bytes, *, group: str, licence: str, source: str) -> ImageRecord:
        """Stores a published image, suitable or not, under the name that its rows have.

        Raises:
            ImageStoreError: It cannot be decoded.
        """
        name = hashlib.sha256(data).hexdigest()
        found = self._find(name)
        if found is not None:
            return found
        try:
            vetted = measured(normal_of(data))
        except Exception as exc:  # decoders can raise anything on hostile bytes
            raise ImageStoreError(
                f"image {name[:12]}… of {source!r} cannot be decoded ({exc}). Drop its rows in the "
                "version it is published in."
            ) from exc
        sha256 = hashlib.sha256(vetted.data).hexdigest()
        record = ImageRecord(
            *(sha256, vetted.format, vetted.width, vetted.height, len(vetted.data), vetted.phash),
            *(printable(group), printable(licence), printable(source)),
            name=name,
            licence_id=spdx_id(licence),
        )
        self._insert(record, vetted.data)
        return record

    def replace(self, record: ImageRecord, data: bytes | None = None) -> None:
        """Replaces the row of an image by its name, and writes its bytes where they are new."""
        if data is not None:
            self._blobs.write(record.file_name, data)
        row = record.to_row()
        with self._lock:
            columns = ", ".join(f"{name} = ?" for name in row)
            self._db.execute(
                f"UPDATE image SET {columns} WHERE sha256 = ?", (*row.values(), record.name)
            )

    def delete_replaced(self, record: ImageRecord) -> None:
        """Deletes the bytes of a record that was replaced, unless another image has the same."""
        with self._lock:
            used = self._db.execute(
                "SELECT 1 FROM image WHERE (sha256 = ?1 AND stored_as IS NULL) OR stored_as = ?1",
                (record.sha256,),
            ).fetchone()
        if used is None:
            self._blobs.path(record.file_name).unlink(missing_ok=True)
            for path in self.directory.glob(f"scaled/*/{record.sha256[:2]}/{record.sha256}.jpg"):
                path.unlink(missing_ok=True)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Additions inside the block share one sync to disk and one commit at the end.

        If the block raises, none of them is added.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._blobs.begin_batch()
            try:
                yield
                self._blobs.sync_batch()
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
                self._blobs.end_batch()

    def record(self, sha256: str) -> ImageRecord:
        """Facts about one image, by the hash of its bytes, its name, or the file it came as.

        Raises:
            ImageStoreError: It is not in the store.
        """
        found = self._find(sha256)
        if found is None:
            raise self._no_image(sha256)
        return found

    def records(self) -> Iterator[ImageRecord]:
        """All images in order of their names, read in pages so that writers need not wait."""
        last = ""
        while True:
            with self._lock:
                rows = self._db.execute(
                    f"SELECT {COLUMNS} FROM image WHERE sha256 > ? ORDER BY sha256 LIMIT 5000",
                    (last,),
                ).fetchall()
            if not rows:
                return
            for record in map(ImageRecord.from_row, rows):
                yield record
                last = record.name

    def read(self, sha256: str) -> ImageFile:
        """The bytes, unchanged, and the file name they are published under.

        Raises:
            ImageStoreError: Not in the store, or its file is missing.
        """
        record = self.record(sha256)
        return ImageFile(self._read_blob(record), record.file_name)

    def records_of(self, hashes: Collection[str]) -> dict[str, ImageRecord]:
        """Facts about many images, by the hashes that were asked for.

        Raises:
            ImageStoreError: One of them is not in the store.
        """
        found: dict[str, ImageRecord] = {}
        wanted = sorted(hashes)
        for start in range(0, len(wanted), MAX_MARKS):
            part = wanted[start : start + MAX_MARKS]
            marks = ", ".join("?" * len(part))
            with self._lock:
                rows = self._db.execute(
                    f"SELECT {COLUMNS} FROM image WHERE sha256 IN ({marks})", part
                ).fetchall()
            records = map(ImageRecord.from_row, rows)
            found.update((record.name, record) for record in records)
        for sha256 in wanted:
            if sha256 not in found:
                found[sha256] = self.record(sha256)
        return found

    def num_not_normal(self) -> int:
        """Number of images that earlier code stored, with whatever their files carried."""
        return self._count("SELECT count(*) FROM image WHERE NOT is_normal")

    def looks(self) -> dict[str, bytes]:
        """Look hash of every image that was compared with the others, in that order."""
        with self._lock:
            return dict(self._db.execute("SELECT image, hash FROM look ORDER BY position"))

    def join_groups(self, looks: Mapping[str, bytes], joined: Mapping[str, str]) -> None:
        """Notes look hashes of images that were compared, and the new names of their groups."""
        with self.batch():
            self._db.executemany(
                "INSERT OR REPLACE INTO look (image, hash) VALUES (?,?)", looks.items()
            )
            self._db.executemany(
                "UPDATE image SET image_group = ? WHERE image_group = ?",
                [(new, old) for old, new in joined.items()],
            )

    def read_into(self, record: ImageRecord, into: memoryview) -> None:
        """Reads an image's bytes into memory of exactly their size.

        Raises:
            ImageStoreError: Its file is missing, or its bytes do not match its hash.
        """
        path = self._blobs.path(record.file_name)
        try:
            with io.FileIO(path) as file:
                num_bytes = file.readinto(into)
        except FileNotFoundError as exc:
            raise self._no_file(record) from exc
        if num_bytes != len(into) or hashlib.sha256(into).hexdigest() != record.sha256:
            raise ImageStoreError(
                f"{path}: the image's file is damaged. Delete it, then add the "
                "images again: `python -m builder images add`."
            )

    def path_of(self, sha256: str) -> Path:
        """Path of the image's file."""
        return self._blobs.path(self.record(sha256).file_name)

    def data_url(self, sha256: str, max_side_px: int) -> str:
        """The image as endpoints accept it.

        Bytes are as stored if no side is longer than `max_side_px`; otherwise
        the image is scaled and encoded once, and kept on disk.
        """
        record = self.record(sha256)
        if not needs_scaling(record.width, record.height, record.num_bytes, max_side_px):
            data, kind = self._read_blob(record), record.format
            if not record.is_normal:
                data, kind = normal_or_same(data, kind)
            return encoded(data, f"image/{kind.lower()}")
        name = record.sha256
        path = self.directory / "scaled" / str(max_side_px) / name[:2] / f"{name}.jpg"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = self._scaled(record, max_side_px)
            write_atomically(path, data)
        return encoded(data, "image/jpeg")

    def _scaled(self, record: ImageRecord, max_side_px: int) -> bytes:
        try:
            return scaled(self._read_blob(record), max_side_px)
        except PictureError as exc:
            raise ImageStoreError(
                f"{self._blobs.path(record.file_name)}: {exc}. Remove the image from the corpus: "
                "no part of polyscene can read it."
            ) from exc

    def has_file(self, file_name: str) -> bool:
        """Whether the bytes of an image are there, in a row's name or not yet."""
        return self._blobs.path(file_name).exists()

    def _insert(self, record: ImageRecord, data: bytes) -> None:
        if data:  # else a worker wrote them
            self._blobs.write(record.file_name, data)
        self.num_inserted += 1
        row = record.to_row()
        with self._lock:
            self._db.execute(
                f"INSERT OR IGNORE INTO image ({', '.join(row)}) "
                f"VALUES ({', '.join('?' * len(row))})",
                tuple(row.values()),
            )

    def _remember(self, came_as: str, record: ImageRecord) -> None:
        """Notes the file that an image came as, so that it is recognised."""
        if came_as not in (record.sha256, record.name):
            with self._lock:
                self._db.execute(
                    "INSERT OR IGNORE INTO original VALUES (?,?)", (came_as, record.name)
                )

    def _find(self, sha256: str) -> ImageRecord | None:
        conditions = (
            "sha256 = ?",
            "stored_as = ? LIMIT 1",
            "sha256 = (SELECT image FROM original WHERE sha256 = ?)",
        )
        for condition in conditions:
            with self._lock:
                row = self._db.execute(
                    f"SELECT {COLUMNS} FROM image WHERE {condition}", (sha256,)
                ).fetchone()
            if row:
                return ImageRecord.from_row(row)
        return None

    def _count(self, query: str) -> int:
        with self._lock:
            return int(self._db.execute(query).fetchone()[0])

    def _read_blob(self, record: ImageRecord) -> bytes:
        try:
            return self._blobs.path(record.file_name).read_bytes()
        except FileNotFoundError as exc:
            raise self._no_file(record) from exc

    def _no_image(self, sha256: str) -> ImageStoreError:
        return ImageStoreError(
            f"{self.directory}: no image {sha256[:12]}…. Add it again with "
            "`python -m builder images add`."
        )

    def _no_file(self, record: ImageRecord) -> ImageStoreError:
        return ImageStoreError(
            f"{self._blobs.path(record.file_name)}: the image's file is missing. Add the images "
            "again: `python -m builder images add`."
        )
