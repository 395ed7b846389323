"""Refuses a release that would undo what somebody else published in between.

A release continues a version if it was made on top of that version's very
manifest, which its own manifest or the releases beside it say. The number
decides nothing: two people may both have made a 0.2.0.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from builder.publish.compared_version import commit_on_hub
from builder.publish.errors import StaleError
from builder.publish.published_reviews import published_events
from builder.publish.repo import DatasetRepo, Refs
from builder.release.compare import (
    ChangedRows,
    ComparedVersion,
    UnreadableShardError,
    changed_rows,
    version_on_disk,
)
from builder.release.lineage import ancestors_of, find_by_sha256, is_whole, manifest_sha256
from schemas.manifest import MANIFEST_NAME, ReleaseManifest, read_manifest

_MAX_IDS = 3


@dataclass(frozen=True, slots=True)
class Head:
    """The version at the head of a branch."""

    commit: str
    manifest: ReleaseManifest
    sha256: str
    lineage: list[str]


def head_version(repo: DatasetRepo, refs: Refs) -> Head | None:
    """The version at the head of the branch, with the manifests it continues; None if none."""
    manifest = repo.own_manifest(refs.head) if refs.head else None
    if refs.head is None or manifest is None:
        return None
    sha256 = _sha256_at(repo, refs.head)
    return Head(refs.head, manifest, sha256, [sha256, *_ancestors_on_hub(repo, refs, manifest)])


def refuse_stale(repo: DatasetRepo, refs: Refs, directory: Path, manifest: ReleaseManifest) -> None:
    """Refuses a release that does not continue the version at the head of the branch.

    Args:
        repo: Where it is to be published.
        refs: References of the repository.
        directory: The release; other releases of its workspace are beside it.
        manifest: Its manifest.

    Raises:
        StaleError: With what would be undone, and how to bring it in.
    """
    if refs.head is None or repo.own_manifest(refs.head) is None:
        return
    sha256 = _sha256_at(repo, refs.head)
    own = manifest_sha256((directory / MANIFEST_NAME).read_bytes())
    lineage = [own, *ancestors_of(directory, manifest)]
    if sha256 in lineage:
        return
    head = head_version(repo, refs)
    assert head is not None, "it has a manifest"
    if own in head.lineage:
        return  # It is older, which is another mistake.
    raise StaleError(_message(repo, refs, head, directory, manifest, lineage))


def find_common(
    repo: DatasetRepo, refs: Refs, head: Head, lineage: Collection[str], releases_dir: Path
) -> ComparedVersion | None:
    """The latest version that both a release and the head of the branch continue."""
    common = next((sha256 for sha256 in head.lineage if sha256 in lineage), None)
    if common is None:
        return None
    local = find_by_sha256(releases_dir, common)
    if local is not None and is_whole(local):
        return version_on_disk(local, read_manifest(local))
    for _, commit in sorted(refs.tags.items(), reverse=True):
        if repo.own_manifest(commit) is not None and _sha256_at(repo, commit) == common:
            return commit_on_hub(repo, commit, repo.manifest(commit))
    return None


def _sha256_at(repo: DatasetRepo, commit: str) -> str:
    content = repo.manifest_bytes(commit)
    assert content is not None, "its manifest was read"
    return manifest_sha256(content)


def _ancestors_on_hub(repo: DatasetRepo, refs: Refs, manifest: ReleaseManifest) -> list[str]:
    """Manifests that a published version continues; of an earlier program's, by their tags."""
    by_number = {str(version): commit for version, commit in refs.tags.items()}
    found: list[str] = []
    while not manifest.ancestors and manifest.previous_version in by_number:
        commit = by_number.pop(manifest.previous_version)
        earlier = repo.own_manifest(commit)
        if earlier is None:
            return found
        found.append(_sha256_at(repo, commit))
        manifest = earlier
    return [*found, *manifest.ancestors]


def _message(
    repo: DatasetRepo,
    refs: Refs,
    head: Head,
    directory: Path,
    manifest: ReleaseManifest,
    lineage: list[str],
) -> str:
    number, theirs = manifest.version, head.manifest.version
    if theirs == number:
        what = f"version {number} is published with other content, which this release lacks"
    else:
        made_from = manifest.previous_version
        continues = f"it continues {made_from}" if made_from else "it continues none"
        what = f"release {number} does not continue the published version {theirs} ({continues})"
    undone = _what_would_be_undone(repo, refs, head, directory, manifest, lineage)
    workspace = directory.absolute().parent.parent
    return (
        f"{repo.repo_id}: {what}. Publishing it would {undone}. Nothing was uploaded. Bring "
        f"that in first: `python -m builder rebase -w {workspace} --onto {repo.repo_id}`; then "
        "release a higher version and publish that."
    )


def _what_would_be_undone(
    repo: DatasetRepo,
    refs: Refs,
    head: Head,
    directory: Path,
    manifest: ReleaseManifest,
    lineage: list[str],
) -> str:
    """What only the published version has, in words with some ids."""
    theirs = commit_on_hub(repo, head.commit, head.manifest)
    ours = version_on_disk(directory, manifest)
    try:
        base = find_common(repo, refs, head, lineage, directory.parent)
        undone = _undone(base, theirs, ours)
    except UnreadableShardError:
        undone = _undone(None, theirs, ours)
    parts = [
        f"{_num(len(ids), 'row')} {verb} there ({_some(ids)})"
        for verb, ids in (
            ("added", undone.added),
            ("removed", undone.removed),
            ("edited", undone.changed),
        )
        if ids
    ]
    known = {event.event_id for event in published_events(ours)}
    events = [event for event in published_events(theirs) if event.event_id not in known]
    if events:
        reviewers = len({event.reviewer for event in events})
        by = _num(reviewers, "reviewer")
        parts.append(f"{_num(len(events), 'review event')} by {by}")
    if not parts:
        return f"replace what {head.manifest.version} says of itself, though no row and no review"
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"undo {listed}"


def _undone(
    base: ComparedVersion | None, theirs: ComparedVersion, ours: ComparedVersion
) -> ChangedRows:
    """What the published version changed, and ours would change back."""
    back = changed_rows(theirs, ours)
    if base is None:
        return ChangedRows(added=back.removed, removed=set(), changed=back.changed)
    done = changed_rows(base, theirs)
    return ChangedRows(
        added=done.added & back.removed,
        removed=done.removed & back.added,
        changed=done.changed & back.changed,
    )


def _num(num: int, thing: str) -> str:
    return f"{num:,} {thing}" if num == 1 else f"{num:,} {thing}s"


def _some(ids: set[str]) -> str:
    shown = ", ".join(sorted(ids)[:_MAX_IDS])
    return f"{shown}, …" if len(ids) > _MAX_IDS else shown
