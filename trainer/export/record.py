"""`export.json`: the files of an exported model, so that an incomplete one is recognised."""

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import PolysceneError, naming

RECORD_NAME = "export.json"
CARD_NAME = "README.md"
FORMAT_VERSION = 1
_BLOCK_BYTES = 1 << 20
_MAX_RECORD_BYTES = 16 << 20
_MAX_NAMED = 5


class ExportError(PolysceneError):
    """A directory is not an exported model, or not a whole one, or cannot become one.

    Args:
        directory: Where.
        what: What is wrong, as a clause.
        remedy: What to do, as a sentence.
    """

    def __init__(self, directory: Path, what: str, remedy: str) -> None:
        self.directory = directory
        self.what = what
        self.remedy = remedy
        super().__init__(f"{directory}: {what}. {remedy}")


class FileRecord(BaseModel):
    """Length and checksum of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        digest, num_bytes = hashlib.sha256(), 0
        with naming(path), path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                num_bytes += len(block)
        return cls(num_bytes=num_bytes, sha256=digest.hexdigest())

    @classmethod
    def of_bytes(cls, content: bytes) -> Self:
        return cls(num_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


class ExportRecord(BaseModel):
    """Content of `export.json`.

    Args:
        data: Label of the version that the model was trained on, "owner/name@0.2.0".
        files: By path, `/` between folders; all but `export.json` itself.
        is_whole: False while the files are put into place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    data: str
    files: dict[str, FileRecord]
    is_whole: bool = True

    @classmethod
    def of(cls, directory: Path, data: str) -> Self:
        """The record of every file below a directory."""
        paths = sorted(path for path in directory.rglob("*") if path.is_file())
        names = {path: path.relative_to(directory).as_posix() for path in paths}
        files = {names[path]: FileRecord.of(path) for path in paths if names[path] != RECORD_NAME}
        return cls(data=data, files=files)

    def to_bytes(self) -> bytes:
        return (self.model_dump_json(indent=2) + "\n").encode()


def parse_record(content: bytes) -> ExportRecord | None:
    """A record; None if the content is not one, or names a file outside its directory."""
    if len(content) > _MAX_RECORD_BYTES:
        return None
    try:
        record = ExportRecord.model_validate(json.loads(content))
    except (ValidationError, ValueError, RecursionError):
        return None
    is_ours = record.format_version == FORMAT_VERSION
    return record if is_ours and all(map(is_plain_path, record.files)) else None


def is_plain_path(name: str) -> bool:
    """Whether a name is a relative path that stays where it begins."""
    parts = name.split("/")
    return (
        name.isprintable()
        and "\\" not in name
        and not PurePosixPath(name).is_absolute()
        and all(part not in ("", ".", "..") for part in parts)
    )


def check_export(directory: Path) -> ExportRecord:
    """The record of an exported model, after checking that every file matches it.

    The card may be edited by hand, so it only has to exist.

    Raises:
        ExportError: No exported model, or not whole; names the files.
    """
    again = "Run `python -m trainer train` again, or copy the directory again."
    path = directory / RECORD_NAME
    try:
        record = parse_record(path.read_bytes())
    except FileNotFoundError as exc:
        what = f"no {RECORD_NAME} there, so it is not a complete exported model"
        remedy = "Name a directory that `python -m trainer train` wrote."
        raise ExportError(directory, what, remedy) from exc
    except OSError as exc:
        raise ExportError(directory, f"{RECORD_NAME} cannot be read ({exc})", again) from exc
    if record is None:
        raise ExportError(directory, f"{RECORD_NAME} is damaged", again)
    if not record.is_whole:
        what = "incomplete: the export was stopped while its files were moved"
        raise ExportError(directory, what, again)
    missing = [name for name in record.files if not _is_inside(directory, name)]
    if missing:
        raise ExportError(directory, f"incomplete: {_named(missing)} missing", again)
    changed = [
        name
        for name, entry in record.files.items()
        if name != CARD_NAME and FileRecord.of(directory / name) != entry
    ]
    if changed:
        what = f"{_named(changed)} not as exported (damaged, half-copied or edited)"
        raise ExportError(directory, what, again)
    return record


def _is_inside(directory: Path, name: str) -> bool:
    """Whether a file of this name is there and, links followed, within the directory."""
    path = directory / name
    return path.is_file() and path.resolve().is_relative_to(directory.resolve())


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    verb = "is" if len(names) == 1 else "are"
    return f"{shown} and {more} more are" if more > 0 else f"{shown} {verb}"
