"""Publishes a release: one commit, guarded by its parent, then one tag.

Every step can be repeated. A killed or refused run leaves either nothing
visible (uploaded files that no commit names) or a commit without its tag,
which the next run finds and tags.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from builder.progress import Progress, no_progress
from builder.publish.errors import ConflictError, PublishError, TagTakenError, UnreachableError
from builder.publish.ownership import (
    last_manifest,
    own_files,
    refuse_foreign_rows,
    refuse_overwriting,
)
from builder.publish.progress import ByteCount
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
    """What a call did; for a version published earlier, no byte and no commit."""

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
    progress: Progress = no_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> Published:
    """Publishes a release directory as one commit and one tag.

    Args:
        directory: The release.
        repo: The target; made if it does not exist.
        private: Visibility of a repository that is made.
        adopt: Publish to a repository that has somebody else's files.
        attempts: Number of attempts while the Hub is unreachable.
        progress: Called as bytes are checked and uploaded.
        sleep: Waits between attempts.

    Raises:
        DamagedReleaseError: The directory does not match its manifest.
        TagTakenError: The version is published with other content.
        ConflictError: Somebody committed at the same moment.
        AccessError: The token may not do this.
        PublishError: Somebody else's file is in the way, or main has a newer version.
        UnreachableError: The Hub did not answer in any attempt.
    """
    total = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    count = ByteCount(progress, "checking", total)
    manifest = verify_release(directory, count.add)
    count.reach(total)
    return retry_while_unreachable(
        lambda: _publish_once(directory, manifest, repo, private, adopt, progress),
        attempts=attempts,
        sleep=sleep,
    )


def retry_while_unreachable(
    act: Callable[[], Result], *, attempts: int, sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Calls `act` again while the Hub is unreachable, after waits that double or that it asks for.

    Raises:
        UnreachableError: The last attempt failed as well.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(UnreachableError),
        stop=stop_after_attempt(attempts),
        wait=_wait_s,
        sleep=sleep,
        reraise=True,
    )
    return retrying(act)


def _wait_s(state: RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, UnreachableError)
    return min(_MAX_WAIT_S, failure.retry_after_s or 2.0 ** (state.attempt_number - 1))


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
    """The untagged commit with exactly this manifest, if there is one."""
    if refs.head is None:
        return None
    for commit in repo.commits():
        is_candidate = commit.title == commit_title(manifest)
        if is_candidate and repo.manifest_bytes(commit.commit_id) == content:
            return commit.commit_id
    return None


def check_is_newest(repo: DatasetRepo, refs: Refs, version: Version) -> None:
    """Refuses to publish an older version, or another one of the same number, over main's."""
    head = repo.own_manifest(refs.head) if refs.head else None
    current = Version.parse(head.version) if head else None
    if current == version:
        raise TagTakenError(
            f"{repo.repo_id}: main already has a version {version} with other content, not yet "
            "tagged. Its publisher must finish it, or choose another version for this one."
        )
    latest = max((current, *refs.tags) if current else refs.tags, default=version)
    if latest > version:
        raise PublishError(
            f"{repo.repo_id} has version {latest}, newer than {version}. Release under a "
            f"higher version, or use `python -m builder rollback {repo.repo_id} VERSION`."
        )


def set_tag(repo: DatasetRepo, version: Version, commit: str, message: str) -> bool:
    """Tags a commit; False when another run of the same publication did so first.

    Raises:
        TagTakenError: The tag names another commit.
    """
    try:
        repo.tag(version, commit, message)
        return True
    except ConflictError as exc:
        if repo.refs().tags.get(version) == commit:
            return False
        raise TagTakenError(
            f"{repo.repo_id}: tag {version.tag} names another commit. A published version "
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
    """Uploads what the Hub lacks; returns the commit's operations, and what they add and delete."""
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
    refuse_foreign_rows(repo, remote, before, manifest)
    gone = sorted(own_files(before) & set(remote) - set(hashes))
    sizes = {path: (directory / path).stat().st_size for path in changed}
    total = sum(sizes.values())
    count = ByteCount(progress, "uploading", total)
    additions = [CountedAddition(path, directory / path, count) for path in changed]
    num_sent = 0
    for batch in _batches(additions, sizes):
        repo.preupload(batch, count)
        # The client does not report files that the Hub has, nor those sent with the commit.
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
    """Checks, before tagging, that the commit has every file of the release."""
    remote = repo.files(commit)
    for path, entry in manifest_entries(manifest).items():
        if path not in remote or not remote[path].holds(directory / path, entry.sha256):
            raise TagTakenError(
                f"{repo.repo_id}: commit {commit[:8]} has another {path} than version "
                f"{manifest.version}. Release under another version."
            )
