"""The release manifest: what a version holds, what it was made from, every file's checksum."""

from pathlib import Path
from typing import Any, cast

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import PolysceneError

#: Raised by one whenever rows or manifest change shape.
SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"


class ManifestError(PolysceneError):
    """A manifest is missing, unreadable or of another schema version."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ShardEntry(_Entry):
    """One Parquet file of the release; `rows_hash` covers its rows' ids and content hashes."""

    path: str
    config: str
    split: str
    key: str
    num_rows: int
    num_bytes: int
    sha256: str
    rows_hash: str


class FileEntry(_Entry):
    path: str
    num_bytes: int
    sha256: str


class ReviewInputs(_Entry):
    """The review events that a release applied: how many, up to which `seq`, and their hash.

    `num_by_kind` adds up to `num_events`; the three last are of rows.
    """

    num_events: int = 0
    num_by_kind: dict[str, int] = {}
    last_seq: int = 0
    events_hash: str = ""
    num_accepted: int = 0
    num_rejected: int = 0
    num_edited: int = 0


class ComparedWith(_Entry):
    """The version that `changelog` compares with; `published_in` is OWNER/NAME, None if local."""

    version: str
    manifest_sha256: str
    published_in: str | None = None


class ReleaseManifest(_Entry):
    """`manifest.json`; no field depends on the clock or the machine.

    `ancestors` are the sha256 of the manifests of the versions that this one
    continues, its predecessor's first. Manifests of earlier programs lack them.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    version: str
    previous_version: str | None = None
    restored_from: str | None = None
    ancestors: list[str] = []
    compared_with: ComparedWith | None = None
    num_samples: int
    num_by_config: dict[str, dict[str, int]]
    languages: dict[str, int]
    modalities: dict[str, int]
    teacher_models: list[str]
    prompt_hashes: list[str]
    licences: dict[str, int]
    config_hash: str
    policy: dict[str, Any]
    reviews: ReviewInputs = ReviewInputs()
    shards: list[ShardEntry]
    files: list[FileEntry] = []
    changelog: list[str] = []


def read_manifest(path: Path) -> ReleaseManifest:
    """Reads `manifest.json` (or the one in a release directory).

    Raises:
        ManifestError: Missing, broken, or of another schema version.
    """
    file = path / MANIFEST_NAME if path.is_dir() else path
    try:
        content = orjson.loads(file.read_bytes())
    except FileNotFoundError as exc:
        raise ManifestError(f"{file}: no such manifest. Name a release directory.") from exc
    except (OSError, orjson.JSONDecodeError) as exc:
        raise ManifestError(f"{file}: unreadable ({exc}). Restore it or release again.") from exc
    return parse_manifest(content, str(file))


def parse_manifest(content: object, where: str) -> ReleaseManifest:
    """Checks a loaded manifest; `where` names it in errors."""
    found = (
        cast(dict[str, object], content).get("schema_version")
        if isinstance(content, dict)
        else None
    )
    if found != SCHEMA_VERSION:
        raise ManifestError(
            f"{where}: schema version {found}, this program reads {SCHEMA_VERSION}. "
            "Use the release of polyscene that wrote it, or release again."
        )
    try:
        return ReleaseManifest.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ManifestError(f"{where}: field `{field}`: {first['msg']}. Release again.") from exc
