"""Publishes a release: one commit, guarded by its parent, then one tag.

Every step can be repeated. A killed or refused run leaves either nothing
visible (uploaded files that no commit names) or a commit without its tag,
which the next run finds and tags.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.progress import Progress, no_progress
from builder.publish.baseline import note_published
from builder.publish.errors import ConflictError, PublishError, TagTakenError
from builder.publish.ownership import (
    last_manifest,
    own_files,
    refuse_foreign_rows,
    refuse_overwriting,
)
from builder.publish.progress import ByteCount
from builder.publish.pull_requests import PullRequest, open_pull_request, pull_requests
from builder.publish.repo import MAIN, DatasetRepo, Refs
from builder.publish.retry import ATTEMPTS, retry_while_unreachable
from builder.publish.staleness import refuse_stale
from builder.publish.verify import manifest_entries, verify_release
from builder.release.shards import file_sha256
from builder.release.versions import Version
from builder.workspace import WorkspaceError, open_workspace
from schemas.manifest import MANIFEST_NAME, ReleaseManifest

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
    pull_request: PullRequest | None = None


@dataclass(frozen=True, slots=True)
class _Options:
    private: bool
    adopt: bool
    create_pr: bool
    progress: Progress


def publish(
    directory: Path,
    repo: DatasetRepo,
    *,
    private: bool = False,
    adopt: bool = False,
    create_pr: bool = False,
    attempts: int = ATTEMPTS,
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Published:
    """Publishes a release directory as one commit and one tag.

    On a branch other than main, and in a pull request, the version gets no tag:
    it gets one once it is on main and is published there.

    Args:
        directory: The release.
        repo: The target; made if it does not exist, and so is its branch.
        private: Visibility of a repository that is made.
        adopt: Publish to a repository that has somebody else's files.
        create_pr: Open a pull request instead of committing to the branch.
        attempts: Number of attempts while the Hub is unreachable.
        progress: Called as bytes are checked and uploaded.
        say: Called with a line before each wait.
        sleep: Waits between attempts.

    Raises:
        DamagedReleaseError: The directory does not match its manifest.
        StaleError: Somebody published a version that the release does not continue.
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
    options = _Options(private, adopt, create_pr, progress)
    done = retry_while_unreachable(
        lambda: _publish_once(directory, manifest, repo, options),
        attempts=attempts,
        say=say,
        sleep=sleep,
    )
    if repo.branch == MAIN and done.pull_request is None:
        _note(directory, repo)
    return done


def _note(directory: Path, repo: DatasetRepo) -> None:
    """Notes the publication in the release's workspace, if it is in one."""
    try:
        workspace = open_workspace(directory.absolute().parent.parent)
    except WorkspaceError:
        return
    if workspace.releases_dir == directory.absolute().parent:
        note_published(workspace, repo, directory)


def _publish_once(
    directory: Path, manifest: ReleaseManifest, repo: DatasetRepo, options: _Options
) -> Published:
    version = Version.parse(manifest.version)
    content = (directory / MANIFEST_NAME).read_bytes()
    if not options.create_pr:
        repo.ensure(private=options.private)
        repo.ensure_branch()
    refs = repo.refs()
    if version in refs.tags:
        if repo.manifest_bytes(refs.tags[version]) != content:
            refuse_stale(repo, refs, directory, manifest)
        _check_same(repo, directory, manifest, refs.tags[version], content)
        return Published(repo.repo_id, version, refs.tags[version], False, False, 0, 0)
    commit = find_commit(repo, refs, manifest, content)
    if commit is None and options.create_pr:
        return _propose(directory, manifest, repo, refs, content, options)
    made_commit, upload = False, _Upload([], 0, 0, 0)
    if commit is None:
        refuse_stale(repo, refs, directory, manifest)
        check_is_newest(repo, refs, version)
        upload = _upload(directory, manifest, repo, refs, options)
        try:
            commit = repo.commit(upload.operations, commit_title(manifest), refs.head)
            made_commit = True
        except ConflictError:
            # Perhaps it was this very version, from another machine.
            commit = find_commit(repo, repo.refs(), manifest, content)
            if commit is None:
                raise
    _check_tree(repo, directory, manifest, commit)
    made_tag = repo.branch == MAIN and set_tag(repo, version, commit, commit_title(manifest))
    return Published(
        repo.repo_id,
        version,
        commit,
        made_commit,
        made_tag,
        upload.num_files,
        upload.num_bytes,
        upload.num_deleted,
    )


def _propose(
    directory: Path,
    manifest: ReleaseManifest,
    repo: DatasetRepo,
    refs: Refs,
    content: bytes,
    options: _Options,
) -> Published:
    """Opens a pull request, unless one with this very version is open."""
    version = Version.parse(manifest.version)
    for request in pull_requests(repo):
        if repo.manifest_bytes(request.commit) == content:
            _check_tree(repo, directory, manifest, request.commit)
            facts = (request.commit, False, False, 0, 0, 0, request)
            return Published(repo.repo_id, version, *facts)
    refuse_stale(repo, refs, directory, manifest)
    check_is_newest(repo, refs, version)
    upload = _upload(directory, manifest, repo, refs, options)
    request = open_pull_request(repo, upload.operations, commit_title(manifest), refs.head)
    _check_tree(repo, directory, manifest, request.commit)
    return Published(
        repo.repo_id,
        version,
        request.commit,
        True,
        False,
        upload.num_files,
        upload.num_bytes,
        upload.num_deleted,
        request,
    )


def commit_title(manifest: ReleaseManifest) -> str:
    """Title of a version's commit, by which an interrupted run finds it again."""
    return f"Version {manifest.version}"


def find_commit(
    repo: DatasetRepo, refs: Refs, manifest: ReleaseManifest, content: bytes
) -> str | None:
    """The untagged commit with exactly this manifest, if there is one.

    The Hub adds the number of a merged pull request to the commit's title.
    """
    if refs.head is None:
        return None
    title = commit_title(manifest)
    for commit in repo.commits():
        is_candidate = commit.title == title or commit.title.startswith(f"{title} (#")
        if is_candidate and repo.manifest_bytes(commit.commit_id) == content:
            return commit.commit_id
    # A pull request may have been merged under another title.
    return refs.head if repo.manifest_bytes(refs.head) == content else None


def check_is_newest(repo: DatasetRepo, refs: Refs, version: Version) -> None:
    """Refuses to publish an older version, or another one of the same number, over the branch's.

    On main no tag may be newer either; a branch may continue an older version.
    """
    head = repo.own_manifest(refs.head) if refs.head else None
    current = Version.parse(head.version) if head else None
    if current == version:
        raise TagTakenError(
            f"{repo.repo_id}: {repo.branch} already has a version {version} with other content, "
            "not yet tagged. Its publisher must finish it, or choose another version for this one."
        )
    others = [*refs.tags] if repo.branch == MAIN else []
    latest = max((current, *others) if current else others, default=version)
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


@dataclass(frozen=True, slots=True)
class _Upload:
    """The operations of a commit, and what they add and delete."""

    operations: list[object]
    num_files: int
    num_bytes: int
    num_deleted: int


def _upload(
    directory: Path, manifest: ReleaseManifest, repo: DatasetRepo, refs: Refs, options: _Options
) -> _Upload:
    """Uploads what the Hub lacks."""
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
    if not options.adopt:
        refuse_overwriting(repo, refs, remote, set(changed) & set(remote))
    refuse_foreign_rows(repo, remote, before, manifest)
    gone = sorted(own_files(before) & set(remote) - set(hashes))
    sizes = {path: (directory / path).stat().st_size for path in changed}
    total = sum(sizes.values())
    count = ByteCount(options.progress, "uploading", total)
    additions = [CountedAddition(path, directory / path, count) for path in changed]
    num_sent = 0
    for batch in _batches(additions, sizes):
        repo.preupload(batch, count, create_pr=options.create_pr)
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
    return _Upload([*additions, *deletions], len(additions), total, len(deletions))


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
