"""Restores an earlier version as a new one with the same files.

History is never rewritten. The new commit's tree equals the old tag's in every
file but `manifest.json`, which says so: its `version` is new, `restored_from`
names the old one. The card and the changelog stay those of the restored
version, since they describe its rows. No data is uploaded: the Hub copies the
old files.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from builder.progress import Progress, no_progress
from builder.publish.errors import ConflictError, PublishError
from builder.publish.fetch import fetch_version
from builder.publish.ownership import last_manifest, own_files, refuse_foreign_rows
from builder.publish.publish import (
    commit_title,
    find_commit,
    retry_while_unreachable,
    set_tag,
)
from builder.publish.repo import DatasetRepo, Refs
from builder.publish.verify import manifest_entries
from builder.release.inputs import read_origin
from builder.release.versions import Version, released_versions
from builder.workspace import Workspace
from schemas.manifest import MANIFEST_NAME, ReleaseManifest, read_manifest


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The new version, what it restores, and whether this call made it."""

    version: Version
    restored: Version
    commit: str
    made_commit: bool
    made_tag: bool
    manifest: ReleaseManifest


def rollback(
    repo: DatasetRepo,
    wanted: Version,
    *,
    attempts: int = 4,
    sleep: Callable[[float], None] = time.sleep,
) -> RolledBack:
    """Makes an earlier version the latest one again, under the next patch version.

    Args:
        repo: The repository.
        wanted: The version to restore.
        attempts: Number of attempts while the Hub is unreachable.
        sleep: Waits between attempts.

    Raises:
        PublishError: There is no such version, or it already is the latest.
    """
    return retry_while_unreachable(
        lambda: _rollback_once(repo, wanted), attempts=attempts, sleep=sleep
    )


def restored_manifest(old: ReleaseManifest, version: Version, previous: Version) -> ReleaseManifest:
    """The old manifest under a new version."""
    restored = old.restored_from or old.version
    line = f"Restores version {restored}: the same rows, card and shards, byte for byte."
    return old.model_copy(
        update={
            "version": str(version),
            "previous_version": str(previous),
            "restored_from": restored,
            "changelog": [line],
        }
    )


def manifest_json(manifest: ReleaseManifest) -> bytes:
    """The manifest as a release writes it."""
    content = manifest.model_dump(mode="json")
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def add_to_workspace(
    repo: DatasetRepo,
    result: RolledBack,
    workspace: Workspace,
    progress: Progress = no_progress,
) -> Path | None:
    """Adds the new version to the workspace that publishes to this repository.

    The next release there then gets a higher version and is compared with it.
    Files that other releases have are linked; only the rest is downloaded.

    Returns:
        Its directory; None if the workspace has it, or none of its releases is published there.

    Raises:
        WorkspaceError: Another process is writing there.
    """
    releases_dir = workspace.releases_dir
    with workspace.locked():
        exists = (releases_dir / str(result.version)).exists()
        if exists or not _is_published_from(repo, releases_dir):
            return None
        return fetch_version(repo, result.version, result.commit, releases_dir, progress)[0]


def how_to_continue(repo_id: str, version: Version, workspace: Path) -> str:
    """Instructions for making the next version from a restored one."""
    return (
        f"Newer rows and reviews stay in the workspaces that made them, and a release from there "
        f"has them again. To continue from {version} instead:\n"
        f"    python -m builder pull {repo_id}@{version} --workspace {workspace}-{version}"
    )


def warn_about_restored(workspace: Workspace) -> str | None:
    """A warning if the latest release restores an older one, but the workspace's rows are newer."""
    versions = released_versions(workspace.releases_dir)
    if not versions:
        return None
    latest = read_manifest(workspace.releases_dir / str(versions[-1]))
    origin = read_origin(workspace)
    if latest.restored_from is None or (origin and origin.version == latest.version):
        return None
    return (
        f"version {latest.version} restores {latest.restored_from}, but this workspace still "
        "has the newer rows and reviews, and they go into this release. To continue from "
        f"{latest.restored_from} instead, pull {latest.version} into a new workspace."
    )


def _is_published_from(repo: DatasetRepo, releases_dir: Path) -> bool:
    """Whether a release of the workspace is published in the repository, byte for byte."""
    tags = repo.refs().tags
    return any(
        repo.manifest_bytes(tags[version])
        == (releases_dir / str(version) / MANIFEST_NAME).read_bytes()
        for version in reversed(released_versions(releases_dir))
        if version in tags
    )


def _rollback_once(repo: DatasetRepo, wanted: Version) -> RolledBack:
    refs = repo.refs()
    old_commit = repo.commit_of(wanted)
    latest = max(refs.tags)
    old = repo.version_manifest(wanted, old_commit)
    newest = repo.own_manifest(refs.tags[latest])
    if newest is not None and _same_files(newest, old):
        if latest != wanted and newest.restored_from == (old.restored_from or old.version):
            return RolledBack(latest, wanted, refs.tags[latest], False, False, newest)
        raise PublishError(
            f"{repo.repo_id}: version {latest}, the latest, already has the same files as {wanted}."
        )
    version = latest.bumped("patch")
    manifest = restored_manifest(old, version, latest)
    content = manifest_json(manifest)
    commit = find_commit(repo, refs, manifest, content)
    made_commit = False
    if commit is None:
        try:
            commit = repo.commit(
                _operations(repo, refs, old_commit, old, content),
                commit_title(manifest),
                refs.head,
            )
            made_commit = True
        except ConflictError:
            commit = find_commit(repo, repo.refs(), manifest, content)
            if commit is None:
                raise
    _check_equal(repo, old_commit, commit, old)
    made_tag = set_tag(repo, version, commit, commit_title(manifest))
    return RolledBack(version, wanted, commit, made_commit, made_tag, manifest)


def _same_files(one: ReleaseManifest, other: ReleaseManifest) -> bool:
    def content(manifest: ReleaseManifest) -> dict[str, str]:
        return {path: entry.sha256 for path, entry in manifest_entries(manifest).items()}

    return content(one) == content(other)


def _operations(
    repo: DatasetRepo, refs: Refs, old_commit: str, old: ReleaseManifest, content: bytes
) -> list[object]:
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete

    assert refs.head is not None, "a repository with a tag has a head"
    current, original = repo.files(refs.head), repo.files(old_commit)
    wanted = set(manifest_entries(old))
    now = last_manifest(repo, refs)
    refuse_foreign_rows(repo, current, now, old)
    operations: list[object] = [
        CommitOperationCopy(path, path, src_revision=old_commit)
        for path in sorted(wanted)
        if path not in current or current[path].blob_id != original[path].blob_id
    ]
    operations += [
        CommitOperationDelete(path, is_folder=False)
        for path in sorted(own_files(now) & set(current) - wanted - {MANIFEST_NAME})
    ]
    operations.append(CommitOperationAdd(MANIFEST_NAME, content))
    return operations


def _check_equal(repo: DatasetRepo, old_commit: str, new_commit: str, old: ReleaseManifest) -> None:
    """Checks, before tagging, that the new commit has every file of the old version."""
    then, now = repo.files(old_commit), repo.files(new_commit)
    for path in manifest_entries(old):
        if path not in now or now[path].blob_id != then[path].blob_id:
            raise PublishError(
                f"{repo.repo_id}: commit {new_commit[:8]} has another {path} than version "
                f"{old.version}. It was not tagged; run the same command again."
            )
