"""Reads the images and texts of an evaluation set, in whatever layout it is published.

Walks a folder: pictures as files or in zip and tar archives; columns of Parquet and CSV; lines of
JSON Lines and text files. So it reads MMEB and XTD-10 as they are on the Hub, a release of
polyscene, and a folder of one's own.
"""

# pyright: standard, reportMissingTypeStubs=false

import csv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from builder.images.sources.tar_stream import open_tar
from schemas.errors import PolysceneError

_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))
_TARS = (".tar", ".tar.gz", ".tgz")
#: Larger files in archives and cells of tables are no pictures of an evaluation set.
_MAX_PICTURE_BYTES = 50_000_000
_MAX_LINE_CHARS = 1_000_000
_MAX_LINE_BYTES = 50_000_000
_ROWS_AT_ONCE = 256
#: Parts of the names of columns that hold no text of a question or answer.
_NO_TEXT = ("img", "image", "path", "file", "url", "id", "inst", "lang", "split", "licen", "hash")


class EvaluationSetError(PolysceneError):
    """An evaluation set cannot be read, or holds nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the evaluation set, and where it is."""

    where: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the evaluation set, and where it is."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of the evaluation set that nothing can be compared with, and why."""

    where: str
    why: str


Part = Picture | Text | Unreadable


def open_evaluation_set(name: str) -> Path:
    """The folder of an evaluation set: a directory, or a dataset of the Hub, which is fetched.

    Raises:
        EvaluationSetError: It is neither, or the Hub does not give it.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise EvaluationSetError(
            f"{name}: no such directory. Name a folder, or a dataset of the Hub as OWNER/NAME."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    repo, _, revision = name.partition("@")
    try:
        found = snapshot_download(repo, repo_type="dataset", revision=revision or None)
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as exc:
        first = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise EvaluationSetError(
            f"{name}: the Hub does not give this dataset ({first}). Check its name and HF_TOKEN, "
            "or download it and name the folder."
        ) from exc
    return Path(found)


def read_evaluation_set(root: Path) -> Iterator[Part]:
    """Its pictures and texts, file by file, and what could not be read.

    What comes before the damage in a file is read, and so are the other files.
    """
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    for path in files:
        where = path.name if path == root else str(path.relative_to(root))
        try:
            yield from _read(path, where)
        except Exception as exc:  # readers of tables and archives have errors of many kinds
            yield _unreadable(where, exc)


def _unreadable(where: str, exc: Exception) -> Unreadable:
    return Unreadable(where, " ".join(str(exc).split())[:200] or type(exc).__name__)


def _read(path: Path, where: str) -> Iterator[Part]:
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        if path.stat().st_size <= _MAX_PICTURE_BYTES:
            yield Picture(where, path.read_bytes())
    elif suffix == ".zip":
        yield from _from_zip(path, where)
    elif path.name.lower().endswith(_TARS):
        yield from _from_tar(path, where)
    elif suffix == ".parquet":
        yield from _from_parquet(path, where)
    elif suffix in (".jsonl", ".ndjson"):
        yield from _from_json_lines(path, where)
    elif suffix in (".csv", ".tsv"):
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file, dialect="excel-tab" if suffix == ".tsv" else "excel"):
                yield from _from_record(row, where)
    elif suffix == ".txt":
        with path.open(encoding="utf-8", errors="replace") as file:
            while line := file.readline(_MAX_LINE_CHARS):
                if line.strip():
                    yield Text(where, line.strip())


def _from_zip(path: Path, where: str) -> Iterator[Part]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not _is_picture(member.filename, member.file_size):
                continue
            name = f"{where}/{member.filename}"
            try:
                data = archive.read(member)
            except Exception as exc:  # encrypted, of an unknown compression, damaged
                yield _unreadable(name, exc)
            else:
                yield Picture(name, data)


def _from_tar(path: Path, where: str) -> Iterator[Picture]:
    with open_tar(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None and _is_picture(member.name, member.size):
                yield Picture(f"{where}/{member.name}", file.read())


def _is_picture(name: str, num_bytes: int) -> bool:
    return Path(name).suffix.lower() in _PICTURES and num_bytes <= _MAX_PICTURE_BYTES


def _from_parquet(path: Path, where: str) -> Iterator[Part]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield from _from_record(row, where)


def _from_json_lines(path: Path, where: str) -> Iterator[Part]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE_BYTES), b""), start=1):
            try:
                row = orjson.loads(line) if line.strip() else None
            except orjson.JSONDecodeError as exc:
                yield _unreadable(f"{where}, line {number}", exc)
                continue
            if isinstance(row, dict):
                yield from _from_record(row, where)


def _from_record(row: dict[str, Any], where: str) -> Iterator[Part]:
    for name, value in row.items():
        holds_text = not any(part in str(name).lower() for part in _NO_TEXT)
        for each in _values(value):
            if isinstance(each, bytes):
                if 0 < len(each) <= _MAX_PICTURE_BYTES:
                    yield Picture(where, each)
            elif holds_text and each.strip():
                yield Text(where, each)


def _values(value: Any) -> Iterable[str | bytes]:
    """The texts and bytes in a cell: itself, the items of a list, the bytes of an image."""
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _values(each)
    elif isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        yield value["bytes"]
