"""Downloads a published version into a workspace as one of its releases, whole or not at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from builder.disk import seal, sync
from builder.progress import Progress, no_progress
from builder.publish.errors import PublishError
from builder.publish.progress import ByteCount
from builder.publish.repo import DatasetRepo
from builder.publish.verify import manifest_entries, verify_release
from builder.release.shards import file_sha256
from builder.release.versions import Version, released_versions
from schemas.manifest import (
    MANIFEST_NAME,
    FileEntry,
    ManifestError,
    ReleaseManifest,
    ShardEntry,
    read_manifest,
)


def fetch_version(
    repo: DatasetRepo,
    version: Version,
    commit: str,
    releases_dir: Path,
    progress: Progress = no_progress,
) -> tuple[Path, ReleaseManifest]:
    """Downloads a version, except for files that other releases of the workspace have.

    After an interruption, the next call keeps what was downloaded. The caller
    holds the workspace's lock.

    Args:
        repo: The repository.
        version: The version.
        commit: The commit of its tag.
        releases_dir: Directory of the releases; this one becomes a subdirectory.
        progress: Called as bytes are downloaded and checked.

    Returns:
        Its directory, checked against the manifest, and the manifest.

    Raises:
        PublishError: The tag names another version, or the workspace has a different
            version of the same number.
        DamagedReleaseError: A downloaded or existing file does not match the manifest.
    """
    target = releases_dir / str(version)
    manifest = repo.version_manifest(version, commit)
    if not target.exists():
        download_version(repo, manifest, commit, releases_dir, progress).rename(target)
        sync(releases_dir)
        return target, manifest
    if (target / MANIFEST_NAME).read_bytes() != repo.manifest_bytes(commit):
        raise PublishError(
            f"{target}: version {version} exists, but differs from the one in {repo.repo_id}. "
            "Fetch it into a new workspace."
        )
    return target, _verify(target, manifest, progress)


def download_version(
    repo: DatasetRepo,
    manifest: ReleaseManifest,
    commit: str,
    releases_dir: Path,
    progress: Progress = no_progress,
) -> Path:
    """Downloads a version beside the releases; the caller makes it one of them by renaming it.

    Returns:
        Its directory, complete, checked and sealed.
    """
    content = repo.manifest_bytes(commit)
    assert content is not None, "its manifest was read"
    arriving = releases_dir / f".pulling-{manifest.version}"
    arriving.mkdir(parents=True, exist_ok=True)
    missing = _link_known(arriving, manifest, releases_dir)
    if missing:
        total = sum(entry.num_bytes for entry in missing)
        count = ByteCount(progress, "downloading", total)
        repo.download(commit, [entry.path for entry in missing], arriving, count)
        count.reach(total)
    shutil.rmtree(arriving / ".cache", ignore_errors=True)
    (arriving / MANIFEST_NAME).unlink(missing_ok=True)
    (arriving / MANIFEST_NAME).write_bytes(content)
    _verify(arriving, manifest, progress)
    seal(arriving)
    return arriving


def _verify(directory: Path, expected: ReleaseManifest, progress: Progress) -> ReleaseManifest:
    total = sum(entry.num_bytes for entry in manifest_entries(expected).values())
    return verify_release(
        directory,
        ByteCount(progress, "checking", total).add,
        remedy="Delete it, then run the same command again to download it again.",
    )


def _link_known(
    arriving: Path, manifest: ReleaseManifest, releases_dir: Path
) -> list[FileEntry | ShardEntry]:
    """Links files that other releases have; returns the entries that none has."""
    known = _files_by_hash(releases_dir)
    missing: list[FileEntry | ShardEntry] = []
    for path, entry in manifest_entries(manifest).items():
        source, target = known.get(entry.sha256), arriving / path
        if source is None or not source.exists() or file_sha256(source) != entry.sha256:
            missing.append(entry)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
    return missing


def _files_by_hash(releases_dir: Path) -> dict[str, Path]:
    """Files of all releases of a workspace, by sha256."""
    known: dict[str, Path] = {}
    for version in released_versions(releases_dir):
        directory = releases_dir / str(version)
        with suppress(ManifestError):
            entries = manifest_entries(read_manifest(directory))
            known |= {entry.sha256: directory / path for path, entry in entries.items()}
    return known
