"""Restores an earlier version as a new one with the same files.

History is never rewritten. The new commit's tree equals the old tag's in every
file but two. `manifest.json` says so: its `version` is new, `restored_from`
names the old one. `CHANGELOG.md` keeps the versions in between, marked as rolled
back. The card stays that of the restored version, since it describes its rows.
No data is uploaded: the Hub copies the old files.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from builder.progress import Progress, no_progress
from builder.publish.baseline import note_published
from builder.publish.errors import ConflictError, PublishError
from builder.publish.fetch import fetch_version
from builder.publish.ownership import last_manifest, own_files, refuse_foreign_rows
from builder.publish.publish import (
    commit_title,
    find_commit,
    set_tag,
)
from builder.publish.repo import DatasetRepo, Refs, git_blob_id
from builder.publish.retry import ATTEMPTS, retry_while_unreachable
from builder.publish.verify import manifest_entries
from builder.release.about.changelog import CHANGELOG_NAME, restored_text
from builder.release.inputs import read_origin
from builder.release.lineage import manifest_sha256
from builder.release.versions import Version, released_versions
from builder.workspace import Workspace
from schemas.manifest import MANIFEST_NAME, FileEntry, ManifestError, ReleaseManifest, read_manifest


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
    attempts: int = ATTEMPTS,
    say: Callable[[str], None] = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> RolledBack:
    """Makes an earlier version the latest one again, under the next patch version.

    Args:
        repo: The repository.
        wanted: The version to restore.
        attempts: Number of attempts while the Hub is unreachable.
        say: Called with a line before each wait.
        sleep: Waits between attempts.

    Raises:
        PublishError: There is no such version, or it already is the latest.
    """
    return retry_while_unreachable(
        lambda: _rollback_once(repo, wanted), attempts=attempts, say=say, sleep=sleep
    )


def restored_manifest(
    old: ReleaseManifest, version: Version, previous: Version, ancestors: Sequence[str] = ()
) -> ReleaseManifest:
    """The old manifest under a new version.

    Args:
        old: Of the restored version.
        version: The new version.
        previous: The version before it.
        ancestors: sha256 of that one's manifest, then of its ancestors'.
    """
    restored = old.restored_from or old.version
    line = f"Restores version {restored}: the same rows, card and shards, byte for byte."
    return old.model_copy(
        update={
            "version": str(version),
            "previous_version": str(previous),
            "restored_from": restored,
            "ancestors": list(ancestors),
            "compared_with": None,
            "changelog": [line],
        }
    )


def with_changelog(manifest: ReleaseManifest, content: bytes) -> ReleaseManifest:
    """The manifest with another CHANGELOG.md."""
    entry = FileEntry(
        path=CHANGELOG_NAME,
        num_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    others = [file for file in manifest.files if file.path != CHANGELOG_NAME]
    files = sorted([*others, entry], key=lambda file: file.path)
    return manifest.model_copy(update={"files": files})


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
    """Adds the new version to a workspace that has the restored or the rolled-back version.

    The next release there then gets a higher version and is compared with it.
    Files that other releases have are linked; only the rest is downloaded. A
    workspace with neither lacks its rows, and takes them in with `rebase`.

    Returns:
        Its directory; None if the workspace has it already, or has neither of the two versions.

    Raises:
        WorkspaceError: Another process is writing there.
    """
    releases_dir = workspace.releases_dir
    with workspace.locked():
        exists = (releases_dir / str(result.version)).exists()
        if exists or not _has_rows_of(repo, result, releases_dir):
            return None
        directory, _ = fetch_version(repo, result.version, result.commit, releases_dir, progress)
        note_published(workspace, repo, directory)
        return directory


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
    try:
        latest = read_manifest(workspace.releases_dir / str(versions[-1]))
    except ManifestError:
        return None  # The release itself says so.
    origin = read_origin(workspace)
    if latest.restored_from is None or (origin and origin.version == latest.version):
        return None
    return (
        f"version {latest.version} restores {latest.restored_from}, but this workspace still "
        "has the newer rows and reviews, and they go into this release. To continue from "
        f"{latest.restored_from} instead, pull {latest.version} into a new workspace."
    )


def _has_rows_of(repo: DatasetRepo, result: RolledBack, releases_dir: Path) -> bool:
    """Whether the restored or the rolled-back version is a release there, byte for byte."""
    tags = repo.refs().tags
    numbers = (str(result.restored), result.manifest.previous_version)
    versions = [Version.parse(number) for number in numbers if number is not None]
    return any(
        repo.manifest_bytes(tags[version])
        == (releases_dir / str(version) / MANIFEST_NAME).read_bytes()
        for version in versions
        if version in tags and version in released_versions(releases_dir)
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
    manifest, changelog = _restoring(repo, old, old_commit, version, latest, refs.tags[latest])
    content = manifest_json(manifest)
    commit = find_commit(repo, refs, manifest, content)
    made_commit = False
    if commit is None:
        new_files = {MANIFEST_NAME: content, CHANGELOG_NAME: changelog}
        try:
            commit = repo.commit(
                _operations(repo, refs, old_commit, old, new_files),
                commit_title(manifest),
                refs.head,
            )
            made_commit = True
        except ConflictError:
            commit = find_commit(repo, repo.refs(), manifest, content)
            if commit is None:
                raise
    _check_equal(repo, old_commit, commit, old, changelog)
    made_tag = set_tag(repo, version, commit, commit_title(manifest))
    return RolledBack(version, wanted, commit, made_commit, made_tag, manifest)


def _restoring(
    repo: DatasetRepo,
    old: ReleaseManifest,
    old_commit: str,
    version: Version,
    latest: Version,
    latest_commit: str,
) -> tuple[ReleaseManifest, bytes]:
    """Manifest and CHANGELOG.md of the new version; they depend on nothing but two tags."""
    ancestors: list[str] = []
    newest = repo.own_manifest(latest_commit)
    if newest is not None:
        content = repo.manifest_bytes(latest_commit)
        assert content is not None, "it was just read"
        ancestors = [manifest_sha256(content), *newest.ancestors]
    manifest = restored_manifest(old, version, latest, ancestors)
    current, restored = (
        (repo.read(commit, CHANGELOG_NAME) or b"").decode("utf-8", "replace")
        for commit in (latest_commit, old_commit)
    )
    changelog = restored_text(manifest, current, restored).encode()
    return with_changelog(manifest, changelog), changelog


def _same_files(one: ReleaseManifest, other: ReleaseManifest) -> bool:
    def content(manifest: ReleaseManifest) -> dict[str, str]:
        entries = manifest_entries(manifest)
        return {path: e.sha256 for path, e in entries.items() if path != CHANGELOG_NAME}

    return content(one) == content(other)


def _operations(
    repo: DatasetRepo,
    refs: Refs,
    old_commit: str,
    old: ReleaseManifest,
    new_files: dict[str, bytes],
) -> list[object]:
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete

    assert refs.head is not None, "a repository with a tag has a head"
    current, original = repo.files(refs.head), repo.files(old_commit)
    wanted = set(manifest_entries(old))
    now = last_manifest(repo, refs)
    refuse_foreign_rows(repo, current, now, old)
    operations: list[object] = [
        CommitOperationCopy(path, path, src_revision=old_commit)
        for path in sorted(wanted - set(new_files))
        if path not in current or current[path].blob_id != original[path].blob_id
    ]
    operations += [
        CommitOperationDelete(path, is_folder=False)
        for path in sorted(own_files(now) & set(current) - wanted - set(new_files))
    ]
    operations += [CommitOperationAdd(path, content) for path, content in new_files.items()]
    return operations


def _check_equal(
    repo: DatasetRepo, old_commit: str, new_commit: str, old: ReleaseManifest, changelog: bytes
) -> None:
    """Checks, before tagging, that the new commit has every file of the old version."""
    then, now = repo.files(old_commit), repo.files(new_commit)
    wanted = {path: then[path].blob_id for path in manifest_entries(old)}
    wanted[CHANGELOG_NAME] = git_blob_id(changelog)
    for path, blob_id in wanted.items():
        if path not in now or now[path].blob_id != blob_id:
            raise PublishError(
                f"{repo.repo_id}: commit {new_commit[:8]} has another {path} than version "
                f"{old.version}. It was not tagged; run the same command again."
            )
