"""Finds a version to compare: in the workspace, in a directory, or on a Hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder.publish.repo import DatasetRepo, parse_address
from builder.release.compare import ComparedVersion, version_on_disk
from builder.release.versions import Version, find_release
from schemas.manifest import MANIFEST_NAME, ReleaseManifest, ShardEntry, read_manifest
from schemas.versions import open_version


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
