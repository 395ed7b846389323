"""A dataset repository on a Hub: its head, its version tags, its files, its manifests."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from builder.publish.errors import ConflictError, PublishError, translate_errors
from builder.publish.progress import ByteCount
from builder.release.versions import Version
from schemas.manifest import MANIFEST_NAME, ReleaseManifest, parse_manifest
from schemas.repo_id import repo_id_problem

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.hf_api import GitCommitInfo

MAIN = "main"
TYPE = "dataset"
PULL_REQUEST = "refs/pr/"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a commit; `sha256` is known of large files only, `blob_id` is git's."""

    path: str
    num_bytes: int
    blob_id: str
    sha256: str | None

    def holds(self, path: Path, sha256: str) -> bool:
        """Whether it has the same bytes as a local file of this sha256."""
        if self.sha256 is not None:
            return self.sha256 == sha256
        return self.blob_id == git_blob_id(path.read_bytes())


@dataclass(frozen=True, slots=True)
class Refs:
    """The references of a repository: head of the branch, and commit of every version tag."""

    head: str | None
    tags: dict[Version, str]


@dataclass
class DatasetRepo:
    """One branch of a repository, reached through the official client.

    Args:
        repo_id: OWNER/NAME.
        endpoint: Address of the Hub; the client's own setting when None.
        token: Token; when None, the one from the environment or `hf auth login`.
        cache_dir: Where downloads are kept; the client's own cache when None.
        branch: Where commits go: a branch, or refs/pr/N of a pull request.
    """

    repo_id: str
    endpoint: str | None = None
    token: str | None = None
    cache_dir: Path | None = None
    branch: str = MAIN
    _read: dict[tuple[str, str], bytes | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses a name that no repository can have, before anything is asked of the Hub."""
        problem = repo_id_problem(self.repo_id)
        if problem is not None:
            raise PublishError(problem)

    @cached_property
    def api(self) -> "HfApi":
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.token, library_name="polyscene")

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turns the client's exceptions inside the block into ours."""
        with translate_errors(self.repo_id, self.api.endpoint):
            yield

    def ensure(self, *, private: bool) -> None:
        """Makes the repository if it does not exist; an existing one keeps its visibility."""
        with self.translate_errors():
            self.api.create_repo(
                self.repo_id, repo_type=TYPE, private=private or None, exist_ok=True
            )

    def refs(self) -> Refs:
        """Head and version tags, read afresh."""
        is_pull_request = self.branch.startswith(PULL_REQUEST)
        with self.translate_errors():
            found = self.api.list_repo_refs(
                self.repo_id, repo_type=TYPE, include_pull_requests=is_pull_request
            )
        heads = [
            ref.target_commit
            for ref in (*found.branches, *(found.pull_requests or ()))
            if ref.ref in (f"refs/heads/{self.branch}", self.branch)
        ]
        tags = {
            Version.parse(tag.name): tag.target_commit
            for tag in found.tags
            if Version.is_tag(tag.name)
        }
        return Refs(heads[0] if heads else None, tags)

    def ensure_branch(self) -> None:
        """Makes the branch from main if it does not exist.

        Raises:
            PublishError: It is a pull request that does not exist.
        """
        if self.branch == MAIN or self.refs().head is not None:
            return
        if self.branch.startswith(PULL_REQUEST):
            raise PublishError(
                f"{self.repo_id}: no pull request {self.branch.removeprefix(PULL_REQUEST)}. "
                "Open one with --create-pr."
            )
        with self.translate_errors():
            self.api.create_branch(self.repo_id, branch=self.branch, repo_type=TYPE, exist_ok=True)

    def commit_of(self, version: Version) -> str:
        """Commit of a version's tag.

        Raises:
            PublishError: There is no such tag; the message lists the versions.
        """
        tags = self.refs().tags
        if version not in tags:
            known = ", ".join(map(str, sorted(tags)))
            has = f"it has {known}" if known else "it has no version yet"
            raise PublishError(f"{self.repo_id}: no version {version}; {has}.")
        return tags[version]

    def files(self, commit: str) -> dict[str, RemoteFile]:
        """Every file of a commit, by path."""
        from huggingface_hub.hf_api import RepoFile

        with self.translate_errors():
            entries = self.api.list_repo_tree(
                self.repo_id, repo_type=TYPE, revision=commit, recursive=True
            )
            return {
                entry.path: RemoteFile(
                    entry.path, entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None
                )
                for entry in entries
                if isinstance(entry, RepoFile)
            }

    def commits(self) -> "list[GitCommitInfo]":
        """Commits of the branch, the latest first."""
        with self.translate_errors():
            return self.api.list_repo_commits(self.repo_id, repo_type=TYPE, revision=self.branch)

    def read(self, commit: str, path: str) -> bytes | None:
        """The bytes of a small file of a commit; None when there is no such file."""
        from huggingface_hub.errors import RemoteEntryNotFoundError

        if (commit, path) not in self._read:
            with self.translate_errors():
                try:
                    found = self.api.hf_hub_download(
                        self.repo_id,
                        path,
                        repo_type=TYPE,
                        revision=commit,
                        cache_dir=self.cache_dir,
                    )
                    self._read[commit, path] = Path(found).read_bytes()
                except RemoteEntryNotFoundError:
                    self._read[commit, path] = None
        return self._read[commit, path]

    def manifest_bytes(self, commit: str) -> bytes | None:
        """The bytes of a commit's `manifest.json`; None when it has none."""
        return self.read(commit, MANIFEST_NAME)

    def own_manifest(self, commit: str) -> ReleaseManifest | None:
        """The manifest of a commit; None when it has none, or one of another program.

        Raises:
            ManifestError: It is ours, but of another schema version, or broken.
        """
        content = self.manifest_bytes(commit)
        try:
            loaded = orjson.loads(content or b"")
        except orjson.JSONDecodeError:
            return None
        if not isinstance(loaded, dict) or "schema_version" not in loaded:
            return None
        return parse_manifest(loaded, f"{self.repo_id}@{commit[:8]}/{MANIFEST_NAME}")

    def manifest(self, commit: str) -> ReleaseManifest:
        """The manifest of a commit.

        Raises:
            PublishError: It has none that this program wrote.
        """
        found = self.own_manifest(commit)
        if found is None:
            raise PublishError(
                f"{self.repo_id}: commit {commit[:8]} has no {MANIFEST_NAME} that this program "
                "wrote, so it is not a version. Name another version, or publish one first."
            )
        return found

    def version_manifest(self, version: Version, commit: str) -> ReleaseManifest:
        """The manifest behind a version's tag.

        Raises:
            PublishError: It is the manifest of another version, or this program did not write it.
        """
        found = self.manifest(commit)
        if found.version != str(version):
            delete = f"hf repos tag delete {self.repo_id} {version.tag} --type dataset"
            raise PublishError(
                f"{self.repo_id}: tag {version.tag} holds version {found.version} (commit "
                f"{commit[:12]}): it was moved or set by hand. Ask for {found.version}, or delete "
                f"the tag: `{delete}`."
            )
        return found

    def download(
        self, commit: str, paths: Sequence[str], directory: Path, count: ByteCount
    ) -> None:
        """Downloads files of a commit into a directory; resumes where an earlier call stopped."""
        from builder.publish.counting import counting_bars

        with self.translate_errors():
            self.api.snapshot_download(
                self.repo_id,
                repo_type=TYPE,
                revision=commit,
                local_dir=directory,
                allow_patterns=list(paths),
                tqdm_class=counting_bars(count),
            )

    def preupload(
        self,
        additions: "Sequence[CommitOperationAdd]",
        count: ByteCount,
        *,
        create_pr: bool = False,
    ) -> None:
        """Uploads large files before the commit that will name them."""
        from builder.publish.counting import count_xet_uploads

        with self.translate_errors(), self.transport(), count_xet_uploads(count):
            self.api.preupload_lfs_files(
                self.repo_id,
                additions,
                repo_type=TYPE,
                revision=self.branch,
                create_pr=create_pr,
                free_memory=False,
            )

    def commit(self, operations: Sequence[Any], title: str, parent: str | None) -> str:
        """Makes one commit on the branch, if `parent` is still its last one; returns its id.

        Raises:
            ConflictError: The branch has moved on, even if to the same content.
        """
        # The client makes no empty commit: where main already has all of this, it returns the
        # head, whichever that is by then, and no public field says so. So main is asked for
        # just before. Large files were compared with main even earlier, by `preupload`; if
        # main moves after this line, they still differ, and `parent_commit` is checked.
        if self.refs().head != parent:
            raise self.moved_on()
        with self.translate_errors(), self.transport():
            made = self.api.create_commit(
                self.repo_id,
                list(operations),
                commit_message=title,
                repo_type=TYPE,
                revision=self.branch,
                parent_commit=parent,
            )
        if made.oid == parent:
            raise self.moved_on()
        return made.oid

    def moved_on(self) -> ConflictError:
        """The error of a commit that came too late."""
        return ConflictError(
            f"{self.repo_id}: {self.branch} changed while this version was uploaded. Run the same "
            "command again; if somebody published this version meanwhile, it finds their commit."
        )

    def tag(self, version: Version, commit: str, message: str) -> None:
        """Sets a version's tag."""
        with self.translate_errors():
            self.api.create_tag(
                self.repo_id,
                repo_type=TYPE,
                tag=version.tag,
                revision=commit,
                tag_message=message,
            )

    def file_system(self):
        """The Hub as a file system that reads parts of files."""
        from huggingface_hub import HfFileSystem

        return HfFileSystem(endpoint=self.endpoint, token=self.token, skip_instance_cache=True)

    @cached_property
    def has_xet(self) -> bool:
        """Whether the Hub accepts uploads by Xet; the client does not fall back by itself."""
        from huggingface_hub.utils import build_hf_headers, get_session

        branch = quote(self.branch, safe="")
        address = f"{self.api.endpoint}/api/datasets/{self.repo_id}/xet-write-token/{branch}"
        with self.translate_errors():
            headers = build_hf_headers(token=self.api.token, library_name="polyscene")
            return get_session().get(address, headers=headers).status_code == 200

    @contextmanager
    def transport(self) -> Iterator[None]:
        """Uploads by plain LFS where the Hub has no Xet."""
        from huggingface_hub import constants

        before = constants.HF_HUB_DISABLE_XET
        if not before and not self.has_xet:
            constants.HF_HUB_DISABLE_XET = True
        try:
            yield
        finally:
            constants.HF_HUB_DISABLE_XET = before


def git_blob_id(content: bytes) -> str:
    """Git's id of a file's content, which the Hub gives for small files."""
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(f"blob {len(content)}\0".encode())
    digest.update(content)
    return digest.hexdigest()


def parse_address(text: str) -> tuple[str, Version]:
    """Splits `OWNER/NAME@X.Y.Z` into repository and version.

    Raises:
        PublishError: The text has another form.
    """
    repo_id, mark, version = text.partition("@")
    if not mark or repo_id.count("/") != 1:
        raise PublishError(f'"{text}" does not name a published version. Write OWNER/NAME@X.Y.Z.')
    return repo_id, Version.parse(version)
