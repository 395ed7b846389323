"""Brings the published version into a workspace that somebody else has published past.

Rows, images and review events of the published version are added to those of the
workspace; none of the workspace's own are lost. Last of all the version becomes a
release of the workspace, so that the next one continues it: a run killed before
that leaves a workspace whose releases are still refused as stale, and the next run
completes it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.balance import wanted_targets
from builder.config import BuildConfig, load_config
from builder.disk import sync
from builder.ledger.ledger import Ledger
from builder.progress import Progress, no_progress
from builder.publish.baseline import note_published
from builder.publish.compared_version import commit_on_hub
from builder.publish.errors import PublishError
from builder.publish.fetch import download_version
from builder.publish.incoming_rows import add_images, add_rows, known_ids
from builder.publish.merged_reviews import MergedReviews, merge_reviews, save_reviews
from builder.publish.pulled_config import pulled_config
from builder.publish.repo import DatasetRepo, Refs
from builder.publish.staleness import Head, find_common, head_version
from builder.publish.verify import DamagedReleaseError, verify_release
from builder.release.compare import ComparedVersion, changed_rows, row_ids, version_on_disk
from builder.release.lineage import ancestors_of, release_sha256
from builder.release.prune import put_aside
from builder.release.publications import read_publications
from builder.release.versions import Version, released_versions
from builder.workspace import Workspace
from schemas.manifest import ManifestError, read_manifest


@dataclass(frozen=True, slots=True)
class Rebased:
    """What a rebase brought in, or would bring in.

    Args:
        repo_id: The repository.
        version: Its version, which the next release continues.
        is_up_to_date: The workspace continued it already; nothing was changed.
        num_rows: Rows that the workspace lacked, or had dropped before they were published.
        num_removed: Rows of the workspace that the published version removed.
        num_events: Review events that the workspace lacked.
        edited_by_both: Ids of rows edited on both sides; the later edit counts.
        superseded: Unpublished releases that were put aside.
        changed_settings: Settings that the published configuration has other values for.
        num_surplus: Rows above the shares of this workspace's configuration, which trims them.
        restores: The version that the published one restores, if it is a rollback.
    """

    repo_id: str
    version: Version
    is_up_to_date: bool = False
    num_rows: int = 0
    num_removed: int = 0
    num_events: int = 0
    edited_by_both: list[str] = field(default_factory=list[str])
    superseded: list[str] = field(default_factory=list[str])
    changed_settings: list[str] = field(default_factory=list[str])
    num_surplus: int = 0
    restores: str | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What has to be done, before anything is."""

    head: Head
    known: set[str]
    num_rows: int
    removed: set[str]
    restored: set[str]
    reviews: MergedReviews
    superseded: list[Version]


def repository_of(workspace: Workspace) -> str:
    """The repository that a workspace published to, or was pulled from, last.

    Raises:
        PublishError: It is not known.
    """
    publications = read_publications(workspace)
    if not publications:
        raise PublishError(
            f"{workspace.root}: not published yet, so name the repository: --onto OWNER/NAME."
        )
    return publications[-1].repo_id


def rebase(
    repo: DatasetRepo,
    workspace: Workspace,
    *,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> Rebased:
    """Brings the latest published version into a workspace.

    Args:
        repo: Where it is published.
        workspace: A workspace with a build.
        dry_run: Only find out what would be brought in; changes nothing.
        progress: Called as bytes and rows are read.

    Raises:
        PublishError: Nothing is published there, or it is another dataset.
        ReviewConflictError: Both sides hold different events under one id.
        WorkspaceError: Another process is writing there.
    """
    if not workspace.config_path.exists():
        raise PublishError(
            f"{workspace.root}: no build here yet. Start from the published version with "
            f"`python -m builder pull {repo.repo_id}@VERSION -w WORKSPACE`."
        )
    refs = repo.refs()
    head = head_version(repo, refs)
    if head is None:
        raise PublishError(f"{repo.repo_id}: no version is published there. Publish yours.")
    with workspace.locked():
        superseded = _to_supersede(workspace.releases_dir, head)
        if not superseded and _has_whole(workspace.releases_dir, head):
            directory = workspace.releases_dir / head.manifest.version
            if not dry_run:
                note_published(workspace, repo, directory)
            return Rebased(repo.repo_id, _number(head), is_up_to_date=True)
        if dry_run:
            theirs = commit_on_hub(repo, head.commit, head.manifest)
            plan = _plan(repo, refs, head, workspace, theirs)
            return _outcome(repo, plan, workspace, None)
        arriving = download_version(
            repo, head.manifest, head.commit, workspace.releases_dir, progress
        )
        plan = _plan(repo, refs, head, workspace, version_on_disk(arriving, head.manifest))
        _take_in(plan, arriving, workspace, progress)
        result = _outcome(repo, plan, workspace, arriving)
        _install(arriving, workspace.releases_dir, head, plan.superseded)
        note_published(workspace, repo, workspace.releases_dir / head.manifest.version)
    return result


def _number(head: Head) -> Version:
    return Version.parse(head.manifest.version)


def _to_supersede(releases_dir: Path, head: Head) -> list[Version]:
    """Releases that the next one must not continue: not lower than the head, nor made from it."""
    found: list[Version] = []
    for version in released_versions(releases_dir):
        directory = releases_dir / str(version)
        if version < _number(head) or release_sha256(directory) == head.sha256:
            continue
        try:
            lineage = ancestors_of(directory, read_manifest(directory))
        except ManifestError:
            lineage = []
        if version == _number(head) or head.sha256 not in lineage:
            found.append(version)
    return found


def _has_whole(releases_dir: Path, head: Head) -> bool:
    """Whether the head is a release of the workspace, with every byte."""
    directory = releases_dir / head.manifest.version
    try:
        verify_release(directory)
        return release_sha256(directory) == head.sha256
    except (ManifestError, DamagedReleaseError):
        return False


def _plan(
    repo: DatasetRepo, refs: Refs, head: Head, workspace: Workspace, theirs: ComparedVersion
) -> _Plan:
    known, kept = known_ids(workspace)
    reviews = merge_reviews(workspace, theirs, repo.repo_id)
    ids = set(row_ids(theirs))
    common = find_common(
        repo, refs, head, _own_lineage(workspace.releases_dir), workspace.releases_dir
    )
    config = load_config(workspace.config_path)
    if common is None and head.manifest.name != config.name:
        raise PublishError(
            f"{repo.repo_id} has the dataset {head.manifest.name!r}, but {workspace.root} builds "
            f"{config.name!r}, and they share no version. Nothing was changed. Name the "
            "repository that this workspace is published in."
        )
    removed: set[str] = set()
    # A rollback is undone with a word: see `Rebased.restores`.
    if common is not None and head.manifest.restored_from is None:
        reviewed = {event.sample_id for event in reviews.events}
        removed = changed_rows(common, theirs).removed & kept - reviewed
    restored = ids & known - kept
    if restored and common is not None:
        restored -= set(row_ids(common))  # this workspace dropped these itself, since
    return _Plan(
        head=head,
        known=known,
        num_rows=len(ids - known),
        removed=removed,
        restored=restored,
        reviews=reviews,
        superseded=_to_supersede(workspace.releases_dir, head),
    )


def _own_lineage(releases_dir: Path) -> set[str]:
    """Manifests of the workspace's releases and of all that these continue."""
    known: set[str] = set()
    for version in released_versions(releases_dir):
        directory = releases_dir / str(version)
        known.add(release_sha256(directory))
        with suppress(ManifestError):
            known.update(ancestors_of(directory, read_manifest(directory)))
    return known


def _take_in(plan: _Plan, arriving: Path, workspace: Workspace, progress: Progress) -> None:
    """Adds images, then rows, then reviews; each step may be repeated."""
    manifest = plan.head.manifest
    config, _ = pulled_config(arriving / "config.yaml")
    add_images(arriving, manifest, workspace, config.images, progress, plan.known)
    add_rows(
        *(arriving, manifest, workspace, plan.reviews.theirs, progress),
        known=plan.known,
        dropped=plan.removed,
        restored=plan.restored,
    )
    if plan.reviews.num_new:
        save_reviews(workspace, plan.reviews)


def _install(arriving: Path, releases_dir: Path, head: Head, superseded: Iterable[Version]) -> None:
    """Puts unpublished releases aside, and makes the published version one of the workspace's."""
    target = releases_dir / head.manifest.version
    aside = {target, *(releases_dir / str(version) for version in superseded)}
    for directory in sorted(aside):
        if directory.exists():
            put_aside(directory)
    arriving.rename(target)
    sync(releases_dir)


def _outcome(
    repo: DatasetRepo, plan: _Plan, workspace: Workspace, arriving: Path | None
) -> Rebased:
    config = load_config(workspace.config_path)
    return Rebased(
        repo_id=repo.repo_id,
        version=_number(plan.head),
        num_rows=plan.num_rows + len(plan.restored),
        num_removed=len(plan.removed),
        num_events=plan.reviews.num_new,
        edited_by_both=plan.reviews.edited_by_both,
        superseded=[str(version) for version in plan.superseded],
        changed_settings=_changed_settings(config, arriving) if arriving else [],
        num_surplus=_num_surplus(config, workspace) if arriving else 0,
        restores=plan.head.manifest.restored_from,
    )


def _changed_settings(own: BuildConfig, arriving: Path) -> list[str]:
    """Names of the settings of the set, not of endpoints, that the two configurations differ in."""
    theirs, _ = pulled_config(arriving / "config.yaml")
    flat = [_flat(config.model_dump(mode="json")) for config in (own, theirs)]
    return sorted(name for name in flat[0] if flat[0][name] != flat[1].get(name))


def _flat(content: dict[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in content.items():
        if name in ("teacher", "judge"):
            found[f"{name}.model"] = value["model"] if value else None
        elif isinstance(value, dict) and name in ("images", "checks", "release"):
            found |= {f"{name}.{inner}": entry for inner, entry in value.items()}
        elif name != "pace":
            found[name] = value
    return found


def _num_surplus(config: BuildConfig, workspace: Workspace) -> int:
    """Rows that the next release would leave out as being above the configuration's shares."""
    if not config.release.trim_surplus:
        return 0
    with Ledger(workspace.ledger_path) as ledger:
        targets = wanted_targets(config, ledger).by_slot
        counts = ledger.accepted_counts()
    return sum(max(0, num - targets.get(slot, 0)) for slot, num in counts.items())
