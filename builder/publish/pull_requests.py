"""Pull requests that bring a version to a repository, for somebody else to merge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builder.publish.repo import PULL_REQUEST, TYPE, DatasetRepo


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request: its number, the address of its page, and its last commit."""

    number: int
    url: str
    commit: str


def open_pull_request(
    repo: DatasetRepo, operations: Sequence[Any], title: str, parent: str | None
) -> PullRequest:
    """Opens a pull request with one commit on top of `parent`, a commit of main."""
    with repo.translate_errors(), repo.transport():
        made = repo.api.create_commit(
            repo.repo_id,
            list(operations),
            commit_message=title,
            repo_type=TYPE,
            parent_commit=parent,
            create_pr=True,
        )
    if made.pr_num is None or made.pr_url is None:
        raise repo.moved_on()
    return PullRequest(made.pr_num, made.pr_url, made.oid)


def pull_requests(repo: DatasetRepo) -> list[PullRequest]:
    """Pull requests that are neither merged nor closed, as the Hub lists them."""
    with repo.translate_errors():
        refs = repo.api.list_repo_refs(repo.repo_id, repo_type=TYPE, include_pull_requests=True)
        commits = {ref.ref: ref.target_commit for ref in refs.pull_requests or ()}
        found = repo.api.get_repo_discussions(
            repo.repo_id,
            repo_type=TYPE,
            discussion_type="pull_request",
            discussion_status="open",
        )
        return [
            PullRequest(entry.num, entry.url, commits[f"{PULL_REQUEST}{entry.num}"])
            for entry in found
            if f"{PULL_REQUEST}{entry.num}" in commits
        ]
