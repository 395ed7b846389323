"""Finds a version to compare: in the workspace, in a directory, or on a Hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from builder.publish.repo import DatasetRepo, parse_address
from builder.release.compare import ComparedVersion, version_on_disk
from builder.release.versions import Version, find_release
from schemas.errors import PolysceneError
from schemas.manifest import MANIFEST_NAME, ReleaseManifest, ShardEntry, read_manifest
from schemas.versions import open_version

_REPORT = "quality.json"
_MAX_REPORT_BYTES = 20 * 2**20


class ReportError(PolysceneError):
    """A version's quality report cannot be read."""


def find_version(text: str, releases_dir: Path, endpoint: str | None = None) -> ComparedVersion:
    """Opens a version for a comparison.

    Args:
        text: A version of the workspace (0.2.0), a release directory (also as DIR@0.2.0), or
            OWNER/NAME@0.2.0.
        releases_dir: Releases of the workspace.
        endpoint: Address of the Hub; the client's own setting when None.

    Raises:
        PolysceneError: There is no such version.
    """
    if any(
        path and (Path(path) / MANIFEST_NAME).exists() for path in (text, text.rpartition("@")[0])
    ):
        opened = open_version(text)
        return version_on_disk(opened.directory, opened.manifest)
    if "@" in text:
        repo_id, version = parse_address(text)
        return version_on_hub(DatasetRepo(repo_id, endpoint), repo_id, str(version))
    directory = find_release(releases_dir, text)
    return version_on_disk(directory, read_manifest(directory))


def find_quality(
    text: str, releases_dir: Path, endpoint: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Number and `quality.json` of a version, named as for `find_version`.

    Raises:
        PolysceneError: There is no such version, or its report cannot be read.
    """
    if any(
        path and (Path(path) / MANIFEST_NAME).exists() for path in (text, text.rpartition("@")[0])
    ):
        opened = open_version(text)
        return opened.manifest.version, _report(text, _opened(opened.directory))
    if "@" in text:
        repo_id, number = parse_address(text)
        repo, version = DatasetRepo(repo_id, endpoint), Version.parse(str(number))
        path = f"datasets/{repo_id}@{repo.commit_of(version)}/{_REPORT}"
        with repo.translate_errors():
            return str(version), _report(text, repo.file_system().open(path, "rb"))
    directory = find_release(releases_dir, text)
    return read_manifest(directory).version, _report(text, _opened(directory))


def _opened(directory: Path) -> Any:
    try:
        return (directory / _REPORT).open("rb")
    except OSError as exc:
        raise ReportError(
            f"{directory / _REPORT}: {exc.strerror}. Fetch or release the version again."
        ) from exc


def _report(name: str, file: Any) -> dict[str, Any]:
    with file:
        content = file.read(_MAX_REPORT_BYTES + 1)
    try:
        report = orjson.loads(content) if len(content) <= _MAX_REPORT_BYTES else None
    except orjson.JSONDecodeError:
        report = None
    if not isinstance(report, dict):
        raise ReportError(
            f"{name}: {_REPORT} is not a readable report. Fetch or release the version again."
        )
    return report


def version_on_hub(repo: DatasetRepo, repo_id: str, version: str) -> ComparedVersion:
    """A published version; only the columns that are read are downloaded."""
    commit = repo.commit_of(Version.parse(version))
    return commit_on_hub(repo, commit, repo.version_manifest(Version.parse(version), commit))


def commit_on_hub(repo: DatasetRepo, commit: str, manifest: ReleaseManifest) -> ComparedVersion:
    """The version in a commit; only the columns that are read are downloaded."""
    file_system = repo.file_system()

    @contextmanager
    def open_shard(entry: ShardEntry) -> Iterator[Any]:
        path = f"datasets/{repo.repo_id}@{commit}/{entry.path}"
        with repo.translate_errors(), file_system.open(path, "rb", cache_type="none") as file:
            yield file

    return ComparedVersion(manifest, open_shard)
