"""Finds the published version that a new release's changelog compares with."""

from collections.abc import Callable
from pathlib import Path

from builder.publish.client import limit_waiting
from builder.publish.compared_version import commit_on_hub
from builder.publish.errors import PublishError
from builder.publish.repo import DatasetRepo, Refs
from builder.release.about.changelog import CHANGELOG_NAME, Baseline, baseline_on_disk
from builder.release.lineage import (
    find_by_sha256,
    find_predecessor,
    is_whole,
    manifest_sha256,
    release_sha256,
)
from builder.release.publications import Publication, note_publication, read_publications
from builder.release.versions import Version
from builder.workspace import Workspace
from schemas.manifest import read_manifest

#: A release does not wait longer for the next byte: it can do without the Hub.
_TIMEOUT_S = 15.0


def note_published(workspace: Workspace, repo: DatasetRepo, directory: Path) -> None:
    """Notes in a workspace that one of its releases is published."""
    manifest = read_manifest(directory)
    note_publication(
        workspace,
        Publication(repo.repo_id, repo.api.endpoint, manifest.version, release_sha256(directory)),
    )


def published_baseline(
    workspace: Workspace,
    version: Version,
    connect: Callable[[str], DatasetRepo] = DatasetRepo,
) -> tuple[Baseline | None, list[str]]:
    """What the changelog of a new release compares with, as the Hub has it now.

    Only a Hub that this workspace has published to, or pulled from, is asked,
    and only if it is the one that is set (HF_ENDPOINT). Of a version that is a
    whole release of the workspace nothing is downloaded, of another one the
    columns that are compared.

    Args:
        workspace: Where the release is made.
        version: Its version.
        connect: Makes a repository from OWNER/NAME, on the Hub that is set.

    Returns:
        The published version, None if there is none, and notes for the user.
    """
    found_last = _last_publication(workspace, connect)
    if found_last is None:
        return None, []
    last, repo = found_last
    limit_waiting(_TIMEOUT_S)
    before, _ = find_predecessor(workspace.releases_dir, version)
    lineage = before.lineage if before else []
    notes: list[str] = []
    sha256 = last.manifest_sha256
    commit: str | None = None
    try:
        refs = repo.refs()
        current, commit = _published(repo, refs)
        if current is not None and current in lineage:
            sha256 = current
        elif current is not None and before is not None:
            notes.append(_stale_note(repo, commit, workspace))
            commit = _commit_of(repo, refs, sha256)
    except PublishError as exc:
        notes.append(
            f"{exc} The changelog compares with the version published last as far as this "
            "workspace knows."
        )
    if sha256 not in lineage:
        return None, notes
    found = find_by_sha256(workspace.releases_dir, sha256)
    if found is not None and (commit is None or is_whole(found)):
        return baseline_on_disk(found, last.repo_id), notes
    if commit is None:
        return None, notes
    return _baseline_on_hub(repo, commit, sha256), notes


def _last_publication(
    workspace: Workspace, connect: Callable[[str], DatasetRepo]
) -> tuple[Publication, DatasetRepo] | None:
    """The last publication on the Hub that is set, and its repository."""
    for entry in reversed(read_publications(workspace)):
        repo = connect(entry.repo_id)
        if entry.endpoint.rstrip("/") == repo.api.endpoint.rstrip("/"):
            return entry, repo
    return None


def _published(repo: DatasetRepo, refs: Refs) -> tuple[str | None, str | None]:
    """(sha256, commit) of main's manifest; (None, None) if main has no version."""
    if refs.head is None or repo.own_manifest(refs.head) is None:
        return None, None
    content = repo.manifest_bytes(refs.head)
    assert content is not None, "it was just read"
    return manifest_sha256(content), refs.head


def _commit_of(repo: DatasetRepo, refs: Refs, sha256: str) -> str | None:
    """The tagged commit that has this manifest."""
    for _, commit in sorted(refs.tags.items(), reverse=True):
        content = repo.manifest_bytes(commit)
        if content is not None and manifest_sha256(content) == sha256:
            return commit
    return None


def _stale_note(repo: DatasetRepo, commit: str | None, workspace: Workspace) -> str:
    manifest = repo.own_manifest(commit) if commit else None
    number = manifest.version if manifest else "a version"
    return (
        f"{repo.repo_id} has {number}, which this workspace does not continue, so `publish` will "
        f"refuse this release. Run `python -m builder rebase -w {workspace.root} --onto "
        f"{repo.repo_id}` first, then release again."
    )


def _baseline_on_hub(repo: DatasetRepo, commit: str, sha256: str) -> Baseline:
    manifest = repo.manifest(commit)

    def read_changelog() -> str | None:
        content = repo.read(commit, CHANGELOG_NAME)
        return None if content is None else content.decode("utf-8", "replace")

    version = commit_on_hub(repo, commit, manifest)
    return Baseline(version, sha256, read_changelog, repo.repo_id)
