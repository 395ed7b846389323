"""Pushes an exported model to a Hub: one commit, guarded by its parent.

What was pushed before is replaced and what the model no longer has is deleted;
what others put into the repository stays.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.export.card import card_for_repository, is_empty_card
from trainer.export.hub import HubError, ModelRepo, RemoteFile, git_blob_id
from trainer.export.record import (
    CARD_NAME,
    RECORD_NAME,
    ExportError,
    ExportRecord,
    FileRecord,
    check_export,
    parse_record,
)

#: Made with every repository.
_OF_THE_HUB = frozenset({".gitattributes"})
#: Pushed where they were put beside the model.
_BESIDE = ("LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", "NOTICE.txt")
_MAX_TITLE_CHARS = 200
_MAX_READ_BYTES = 16 << 20
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did, or would do in a dry run.

    Args:
        url: Of the repository, for people.
        commit: Commit of main; None for a repository that a dry run did not create.
        uploads: Bytes of every file that is new or changed, by path.
        deletions: Files of an earlier push that the model no longer has.
        num_kept: Files of others that stay.
        is_new: The repository was made, or would be.
        is_dry_run: Nothing was changed.
    """

    repo_id: str
    url: str
    commit: str | None
    uploads: Mapping[str, int]
    deletions: tuple[str, ...]
    num_kept: int
    is_new: bool
    is_dry_run: bool

    @property
    def num_bytes(self) -> int:
        """Bytes of all uploads."""
        return sum(self.uploads.values())

    def describe(self) -> list[str]:
        """One line per file, then the sum and the address."""
        lines = [f"upload {name} ({size:,} bytes)" for name, size in self.uploads.items()]
        lines += [f"delete {name} (of an earlier push)" for name in self.deletions]
        kept = f", {self.num_kept} of others kept" if self.num_kept else ""
        what = f"{len(self.uploads)} files, {self.num_bytes / 1e6:,.1f} MB{kept}"
        if not self.uploads and not self.deletions:
            lines.append(f"{self.url}: has this model already; nothing to do")
        elif self.is_dry_run:
            place = "a new repository" if self.is_new else "one commit"
            lines.append(f"{self.url}: {what} in {place}; nothing was sent (dry run)")
        else:
            lines.append(f"{self.url}: {what}, commit {(self.commit or '')[:12]}")
        return lines


@dataclass(frozen=True, slots=True)
class _Content:
    """What is pushed under one name: a file, or bytes made for the repository."""

    source: Path | bytes
    entry: FileRecord

    def is_held_by(self, remote: RemoteFile | None) -> bool:
        if remote is None or remote.num_bytes != self.entry.num_bytes:
            return False
        if remote.sha256 is not None:
            return remote.sha256 == self.entry.sha256
        return remote.blob_id == git_blob_id(self.source)


def push(
    directory: Path,
    repo_id: str,
    *,
    private: bool = False,
    message: str | None = None,
    adopt: bool = False,
    dry_run: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> Pushed:
    """Pushes an exported model as one commit; a model that is there already makes none.

        push(Path("model"), "me/scenes-embedder", private=True).describe()

    Args:
        directory: What `python -m trainer train` exported.
        repo_id: OWNER/NAME; made if it is not there.
        private: Visibility of a repository that is made.
        message: Title of the commit.
        adopt: Replace files of the same names that no push put there.
        dry_run: Only says what would be sent.
        endpoint: Address of the Hub; `HF_ENDPOINT` when None.
        token: `HF_TOKEN` or that of `hf auth login` when None.

    Raises:
        ExportError: The directory is not an exported model, or not a whole one.
        HubConflictError: Somebody committed at the same moment.
        HubAccessError: The token lacks the permission.
        HubUnreachableError: The Hub did not answer.
        HubError: Somebody else's file is in the way; names it.
    """
    directory = directory.resolve()
    record = check_export(directory)
    repo = ModelRepo(repo_id, endpoint=endpoint, token=token)
    is_new = not repo.exists()
    if is_new and not dry_run:
        repo.create(private=private)
    head = None if is_new and dry_run else repo.head()
    remote = repo.files(head) if head else {}
    contents = _contents(directory, record, repo_id)
    changed = [name for name in contents if not contents[name].is_held_by(remote.get(name))]
    strange = set(remote) - (set(contents) - set(changed)) - _OF_THE_HUB
    own = _own_files(repo, head, remote, strange)
    if not adopt:
        _refuse_overwriting(repo, head, (strange - own) & set(changed))
    deletions = sorted(own - set(contents))
    commit = head
    if not dry_run and (changed or deletions):
        title = " ".join((message or "").split()) or f"Model trained on {record.data}"
        chosen = {name: contents[name] for name in changed}
        commit = _commit(repo, directory, chosen, deletions, title[:_MAX_TITLE_CHARS], head)
    return Pushed(
        repo_id,
        repo.url,
        commit,
        {name: contents[name].entry.num_bytes for name in changed},
        tuple(deletions),
        len(strange - own - set(changed)),
        is_new,
        dry_run,
    )


def _contents(directory: Path, record: ExportRecord, repo_id: str) -> dict[str, _Content]:
    """What is pushed, by path: the model's files, its card for this repository, its licence.

    The record goes along as of what is pushed, so that the next push knows its own files.
    """
    contents = {
        name: _Content(directory / name, entry)
        for name, entry in record.files.items()
        if name != CARD_NAME
    }
    for name in _BESIDE:
        path = directory / name
        if path.is_file() and not path.is_symlink():
            contents[name] = _Content(path, FileRecord.of(path))
    card = (directory / CARD_NAME).read_bytes().decode("utf-8", "replace")
    contents[CARD_NAME] = _of_bytes(card_for_repository(card, repo_id).encode())
    entries = {name: content.entry for name, content in sorted(contents.items())}
    pushed = record.model_copy(update={"files": entries})
    contents[RECORD_NAME] = _of_bytes(pushed.to_bytes())
    return dict(sorted(contents.items()))


def _of_bytes(content: bytes) -> _Content:
    return _Content(content, FileRecord.of_bytes(content))


def _own_files(
    repo: ModelRepo, head: str | None, remote: Mapping[str, RemoteFile], asked: Collection[str]
) -> set[str]:
    """Which of these files an earlier push put there and nobody changed since."""
    if head is None or RECORD_NAME not in remote:
        return set()
    record = parse_record(repo.read(head, RECORD_NAME, _MAX_READ_BYTES))
    if record is None:
        return set()
    own = {RECORD_NAME} & set(asked)
    for name in set(asked) & set(record.files):
        entry, there = record.files[name], remote[name]
        if there.num_bytes != entry.num_bytes:
            continue
        sha256 = there.sha256
        if sha256 is None:  # small, and git's id is not a hash of the content alone
            sha256 = FileRecord.of_bytes(repo.read(head, name, entry.num_bytes + 1)).sha256
        if sha256 == entry.sha256:
            own.add(name)
    return own


def _refuse_overwriting(repo: ModelRepo, head: str | None, replaced: set[str]) -> None:
    """Keeps a push off files that somebody else put there or edited.

    Raises:
        HubError: Names them.
    """
    if head and CARD_NAME in replaced:
        card = repo.read(head, CARD_NAME, _MAX_READ_BYTES).decode("utf-8", "replace")
        if is_empty_card(card):
            replaced = replaced - {CARD_NAME}
    if replaced:
        shown = ", ".join(sorted(replaced)[:_MAX_NAMED])
        more = len(replaced) - _MAX_NAMED
        raise HubError(
            f"{repo.repo_id}: main has {shown}{f' and {more} more' if more > 0 else ''}, put there "
            "or edited by somebody else. Nothing was changed. Push under another name, or add "
            "--adopt to replace these files."
        )


def _commit(
    repo: ModelRepo,
    directory: Path,
    contents: Mapping[str, _Content],
    deletions: list[str],
    title: str,
    parent: str | None,
) -> str:
    """Uploads, makes sure of what was uploaded, and commits."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    additions = [CommitOperationAdd(name, content.source) for name, content in contents.items()]
    repo.preupload(additions)
    for addition in additions:
        info = addition.upload_info
        entry = contents[addition.path_in_repo].entry
        if info.size != entry.num_bytes or (info.is_hashed and info.sha256.hex() != entry.sha256):
            raise ExportError(
                directory,
                f"{addition.path_in_repo} changed while it was uploaded; nothing of it is visible",
                "Run the same command again when nothing writes there.",
            )
    deleted = [CommitOperationDelete(name, is_folder=False) for name in deletions]
    return repo.commit([*additions, *deleted], title, parent)
