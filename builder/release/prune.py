"""Deletes releases of a workspace that nothing needs any more."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.disk import sync
from builder.release.lineage import find_by_sha256, release_sha256
from builder.release.publications import read_publications
from builder.release.versions import Version, released_versions
from builder.workspace import Workspace
from schemas.manifest import MANIFEST_NAME, ManifestError, read_manifest

_SUPERSEDED = ".superseded-"
_DELETING = ".pruning-"


@dataclass(frozen=True, slots=True)
class Pruned:
    """Releases that were deleted, or would be.

    Args:
        names: Their directories' names, the oldest version first.
        num_bytes: Bytes that this frees; files that a kept release shares are not counted.
        kept: Versions that stay, each with the reason.
    """

    names: list[str]
    num_bytes: int
    kept: dict[str, str]


def put_aside(directory: Path) -> Path:
    """Renames a release, so that it is none any more; `prune` deletes it."""
    has_manifest = (directory / MANIFEST_NAME).is_file()
    mark = release_sha256(directory)[:8] if has_manifest else "damaged"
    target = directory.with_name(f"{directory.name}{_SUPERSEDED}{mark}")
    if target.exists():
        shutil.rmtree(target)
    directory.rename(target)
    return target


def prune(workspace: Workspace, keep: int, *, dry_run: bool = False) -> Pruned:
    """Deletes all releases but the latest ones and those that others need.

    A release is needed if it is the latest, its predecessor, the one it
    restores, or the one that is published: the next release is compared with
    it and continues it. Releases that a rebase put aside are deleted.

    Args:
        workspace: Its lock is taken.
        keep: Number of latest versions to keep, at least 1.
        dry_run: Only find out.

    Raises:
        ValueError: `keep` is less than 1.
        WorkspaceError: Another process is writing there.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, since the latest release stays; got {keep}")
    with workspace.locked():
        kept = _kept(workspace, keep)
        releases_dir = workspace.releases_dir
        doomed = [
            releases_dir / str(version)
            for version in released_versions(releases_dir)
            if str(version) not in kept
        ]
        leftovers = [] if not releases_dir.is_dir() else sorted(releases_dir.iterdir())
        doomed += [path for path in leftovers if _is_leftover(path)]
        num_bytes = _freed_bytes(doomed)
        if not dry_run:
            for directory in doomed:
                _delete(directory)
        return Pruned([_shown(path) for path in doomed], num_bytes, kept)


def _kept(workspace: Workspace, keep: int) -> dict[str, str]:
    """Versions to keep, each with the reason, the latest first."""
    releases_dir = workspace.releases_dir
    versions = released_versions(releases_dir)
    if not versions:
        return {}
    latest = versions[-1]
    kept = {str(latest): "the latest"}
    for version in reversed(versions[-keep:]):
        kept.setdefault(str(version), "one of the latest")
    for version, reason in _needed_by(releases_dir, latest):
        if Version.parse(version) in versions:
            kept.setdefault(version, reason)
    for publication in read_publications(workspace):
        found = find_by_sha256(releases_dir, publication.manifest_sha256)
        if found is not None:
            kept.setdefault(found.name, f"published in {publication.repo_id}")
    return kept


def _needed_by(releases_dir: Path, latest: Version) -> Iterator[tuple[str, str]]:
    try:
        manifest = read_manifest(releases_dir / str(latest))
    except ManifestError:
        return
    if manifest.previous_version is not None:
        yield manifest.previous_version, f"the predecessor of {latest}"
    if manifest.restored_from is not None:
        yield manifest.restored_from, f"restored by {latest}"
    if manifest.compared_with is not None:
        yield manifest.compared_with.version, f"compared with in the changelog of {latest}"


def _is_leftover(path: Path) -> bool:
    return path.is_dir() and (_SUPERSEDED in path.name or path.name.startswith(_DELETING))


def _shown(path: Path) -> str:
    return path.name.removeprefix(_DELETING)


def _freed_bytes(directories: Iterable[Path]) -> int:
    """Bytes of the files that have no other name outside these directories."""
    names: Counter[tuple[int, int]] = Counter()
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            key = status.st_dev, status.st_ino
            names[key] += 1
            sizes[key] = status.st_size, status.st_nlink
    return sum(size for key, (size, num_links) in sizes.items() if names[key] >= num_links)


def _delete(directory: Path) -> None:
    """Deletes a release whole: a run killed in the middle leaves no half of one."""
    target = directory
    if not directory.name.startswith(_DELETING):
        target = directory.with_name(f"{_DELETING}{directory.name}")
        directory.rename(target)
        sync(directory.parent)
    shutil.rmtree(target)
