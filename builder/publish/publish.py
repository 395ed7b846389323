"""Publishes a release: one commit, guarded by its parent, then one tag.

Every step can be taken again. What a killed or refused run leaves is either
nothing anyone sees (uploaded files no commit names) or a commit without its
tag, which the next run finds and tags.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from builder.publish.errors import ConflictError, PublishError, TagTakenError, UnreachableError
from builder.publish.ownership import (
    last_manifest,
    own_files,
    refuse_overwriting,
    refuse_strange_rows,
)
from builder.publish.progress import ByteCount, Progress, silent
from builder.publish.repo import DatasetRepo, Refs
from builder.publish.verify import manifest_entries, verify_release
from builder.release.shards import file_sha256
from builder.release.versions import Version
from schemas.manifest import MANIFEST_NAME, ReleaseManifest

Result = TypeVar("Result")

_MAX_WAIT_S = 60.0
_BATCH_FILES = 16
_BATCH_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Published:
    """What a call did; a version that was there already moved no byte and made no commit."""

    repo_id: str
    version: Version
    commit: str
    made_commit: bool
    made_tag: bool
    num_uploaded: int
    num_uploaded_bytes: int
    num_deleted: int = 0


def publish(
    directory: Path,
    repo: DatasetRepo,
    *,
    private: bool = False,
    adopt: bool = False,
    attempts: int = 4,
    progress: Progress = silent,
    sleep: Callable[[float], None] = time.sleep,
) -> Published:
    """Publishes a release directory as one commit and one tag.

    Args:
        directory: The release.
        repo: Where to; made if it is not there.
        private: Visibility of a repository that is made.
        adopt: Take over a repository that holds somebody else's files.
        attempts: How often to try while the Hub is only unreachable.
        progress: Hears of checked and uploaded bytes.
        sleep: Waits between attempts.

    Raises:
        DamagedReleaseError: The directory does not match its manifest.
        TagTakenError: The version is there with other content.
        ConflictError: Somebody committed at the same moment.
        AccessError: The token may not do this.
        PublishError: Somebody else's file is in the way, or main is ahead.
        UnreachableError: The Hub did not answer, again and again.
    """
    total = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    count = ByteCount(progress, "checking", total)
    manifest = verify_release(directory, count.add)
    count.reach(total)
    return persistently(
        lambda: _publish_once(directory, manifest, repo, private, adopt, progress),
        attempts=attempts,
        sleep=sleep,
    )


def persistently(
    act: Callable[[], Result], *, attempts: int, sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Tries again while the Hub is unreachable, waiting longer each time, or as it asks."""
    for attempt in range(attempts):
        try:
            return act()
        except UnreachableError as exc:
            if attempt + 1 == attempts:
                raise
            sleep(min(_MAX_WAIT_S, exc.retry_after_s or 2.0**attempt))
    raise AssertionError("attempts must be at least 1")


def _publish_once(
    directory: Path,
    manifest: ReleaseManifest,
    repo: DatasetRepo,
    private: bool,
    adopt: bool,
    progress: Progress,
) -> Published:
    version = Version.parse(manifest.version)
    content = (directory / MANIFEST_NAME).read_bytes()
    repo.ensure(private=private)
    refs = repo.refs()
    if version in refs.tags:
        _check_same(repo, directory, manifest, refs.tags[version], content)
        return Published(repo.repo_id, version, refs.tags[version], False, False, 0, 0)
    commit = find_commit(repo, refs, manifest, content)
    made_commit, num_files, num_bytes, num_deleted = False, 0, 0, 0
    if commit is None:
        check_is_newest(repo, refs, version)
        operations, num_files, num_bytes, num_deleted = _upload(
            directory, manifest, repo, refs, adopt, progress
        )
        try:
            commit = repo.commit(operations, commit_title(manifest), refs.head)
            made_commit = True
        except ConflictError:
            # Perhaps it was this very version, from another machine.
            commit = find_commit(repo, repo.refs(), manifest, content)
            if commit is None:
                raise
    _check_tree(repo, directory, manifest, commit)
    made_tag = set_tag(repo, version, commit, commit_title(manifest))
    return Published(
        repo.repo_id, version, commit, made_commit, made_tag, num_files, num_bytes, num_deleted
    )


def commit_title(manifest: ReleaseManifest) -> str:
    """Title of a version's commit, by which an interrupted run finds it again."""
    return f"Version {manifest.version}"


def find_commit(
    repo: DatasetRepo, refs: Refs, manifest: ReleaseManifest, content: bytes
) -> str | None:
    """The commit that holds just this manifest but was not tagged, if there is one."""
    if refs.head is None:
        return None
    for commit in repo.commits():
        is_candidate = commit.title == commit_title(manifest)
        if is_candidate and repo.manifest_bytes(commit.commit_id) == content:
            return commit.commit_id
    return None


def check_is_newest(repo: DatasetRepo, refs: Refs, version: Version) -> None:
    """Refuses to put an older version, or another one of the same number, on top of main."""
    head = repo.own_manifest(refs.head) if refs.head else None
    there = Version.parse(head.version) if head else None
    if there == version:
        raise TagTakenError(
            f"{repo.repo_id}: main already holds a version {version} with other content, not yet "
            "tagged. Its publisher must finish it, or choose another version for this one."
        )
    latest = max((there, *refs.tags) if there else refs.tags, default=version)
    if latest > version:
        raise PublishError(
            f"{repo.repo_id} holds version {latest}, newer than {version}. Release under a "
            f"higher version, or use `python -m builder rollback {repo.repo_id} VERSION`."
        )


def set_tag(repo: DatasetRepo, version: Version, commit: str, message: str) -> bool:
    """Tags a commit; False when another run of the same publication did so first.

    Raises:
        TagTakenError: The tag stands at another commit.
    """
    try:
        repo.tag(version, commit, message)
        return True
    except ConflictError as exc:
        if repo.refs().tags.get(version) == commit:
            return False
        raise TagTakenError(
            f"{repo.repo_id}: tag {version.tag} exists at another commit. A published version "
            "never changes; release under another version."
        ) from exc


def _upload(
    directory: Path,
    manifest: ReleaseManifest,
    repo: DatasetRepo,
    refs: Refs,
    adopt: bool,
    progress: Progress,
) -> tuple[list[object], int, int, int]:
    """Uploads what the Hub lacks; returns the operations of the commit and what they move."""
    from huggingface_hub import CommitOperationDelete

    from builder.publish.counting import CountedAddition

    remote = repo.files(refs.head) if refs.head else {}
    before = last_manifest(repo, refs)
    hashes = {path: entry.sha256 for path, entry in manifest_entries(manifest).items()}
    hashes[MANIFEST_NAME] = file_sha256(directory / MANIFEST_NAME)
    changed = [
        path
        for path in sorted(hashes)
        if path not in remote or not remote[path].holds(directory / path, hashes[path])
    ]
    if not adopt:
        refuse_overwriting(repo, refs, remote, set(changed) & set(remote))
    refuse_strange_rows(repo, remote, before, manifest)
    gone = sorted(own_files(before) & set(remote) - set(hashes))
    sizes = {path: (directory / path).stat().st_size for path in changed}
    total = sum(sizes.values())
    count = ByteCount(progress, "uploading", total)
    additions = [CountedAddition(path, directory / path, count) for path in changed]
    num_sent = 0
    for batch in _batches(additions, sizes):
        repo.preupload(batch, count)
        # The client does not tell of what the Hub has, nor of what goes with the commit.
        num_sent += sum(sizes[addition.path_in_repo] for addition in batch)
        count.reach(num_sent)
    for addition in additions:
        info = addition.upload_info
        if info.is_hashed and info.sha256.hex() != hashes[addition.path_in_repo]:
            raise PublishError(
                f"{directory / addition.path_in_repo}: changed while it was uploaded. A release "
                "never changes: make it again. Nothing of it is visible."
            )
    deletions = [CommitOperationDelete(path, is_folder=False) for path in gone]
    return [*additions, *deletions], len(additions), total, len(deletions)


def _batches(additions, sizes: dict[str, int]):
    batch, num_bytes = [], 0
    for addition in additions:
        size = sizes[addition.path_in_repo]
        if batch and (len(batch) == _BATCH_FILES or num_bytes + size > _BATCH_BYTES):
            yield batch
            batch, num_bytes = [], 0
        batch.append(addition)
        num_bytes += size
    if batch:
        yield batch


def _check_same(
    repo: DatasetRepo, directory: Path, manifest: ReleaseManifest, commit: str, content: bytes
) -> None:
    if repo.manifest_bytes(commit) != content:
        raise TagTakenError(
            f"{repo.repo_id}: version {manifest.version} is published with other content. "
            "A published version never changes; release under another version."
        )
    _check_tree(repo, directory, manifest, commit)


def _check_tree(repo: DatasetRepo, directory: Path, manifest: ReleaseManifest, commit: str) -> None:
    """Makes sure a commit holds every file of the release before it is called a version."""
    remote = repo.files(commit)
    for path, entry in manifest_entries(manifest).items():
        if path not in remote or not remote[path].holds(directory / path, entry.sha256):
            raise TagTakenError(
                f"{repo.repo_id}: commit {commit[:8]} has another {path} than version "
                f"{manifest.version}. Release under another version."
            )
