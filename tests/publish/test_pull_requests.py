"""Versions on a branch and in a pull request: whole, found again, and tagged once on main."""

from pathlib import Path

import pytest

from builder.publish import DatasetRepo, PublishError, publish
from builder.workspace import Workspace
from tests.hub_server import OTHER_TOKEN
from tests.publish.conftest import FIRST, SECOND, check_published, the_release

# The official client uploads with a keyword its own HTTP library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_a_colleagues_pull_request_is_opened_once_merged_and_tagged(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases), repo)
    head = repo.refs().head
    stranger = DatasetRepo(repo.repo_id, repo.endpoint, OTHER_TOKEN, tmp_path / "theirs")
    opened = publish(the_release(releases, SECOND), stranger, create_pr=True)
    assert opened.pull_request is not None
    assert (opened.made_commit, opened.made_tag, opened.pull_request.number) == (True, False, 1)
    assert opened.pull_request.url.endswith(f"/datasets/{repo.repo_id}/discussions/1")
    assert repo.refs().head == head and SECOND not in repo.refs().tags
    again = publish(the_release(releases, SECOND), stranger, create_pr=True)
    assert again.pull_request == opened.pull_request and not again.made_commit
    repo.api.merge_pull_request(repo.repo_id, 1, repo_type="dataset")
    done = publish(the_release(releases, SECOND), repo)
    assert (done.made_commit, done.made_tag) == (False, True)
    check_published(repo, the_release(releases, SECOND))


def test_a_branch_is_made_and_gets_no_tag(repo: DatasetRepo, releases: Workspace) -> None:
    publish(the_release(releases), repo)
    branch = DatasetRepo(repo.repo_id, repo.endpoint, repo.token, repo.cache_dir, branch="try/it")
    done = publish(the_release(releases, SECOND), branch)
    assert (done.made_commit, done.made_tag) == (True, False)
    assert not publish(the_release(releases, SECOND), branch).made_commit
    assert SECOND not in repo.refs().tags and repo.refs().head == repo.refs().tags[FIRST]
    read = repo.api.hf_hub_download(
        repo.repo_id, "manifest.json", repo_type="dataset", revision="try/it"
    )
    assert Path(read).read_bytes() == (the_release(releases, SECOND) / "manifest.json").read_bytes()
    assert publish(the_release(releases, SECOND), repo).made_tag


def test_an_open_pull_request_takes_another_version(repo: DatasetRepo, releases: Workspace) -> None:
    repo.ensure(private=False)
    publish(the_release(releases), repo, create_pr=True)
    request = DatasetRepo(repo.repo_id, repo.endpoint, repo.token, repo.cache_dir, "refs/pr/1")
    assert publish(the_release(releases, SECOND), request).made_commit
    repo.api.merge_pull_request(repo.repo_id, 1, repo_type="dataset")
    assert publish(the_release(releases, SECOND), repo).made_tag
    check_published(repo, the_release(releases, SECOND))


def test_a_pull_request_that_is_not_there_is_refused(
    repo: DatasetRepo, releases: Workspace
) -> None:
    publish(the_release(releases), repo)
    request = DatasetRepo(repo.repo_id, repo.endpoint, repo.token, repo.cache_dir, "refs/pr/7")
    with pytest.raises(PublishError, match=r"no pull request 7\. Open one with --create-pr"):
        publish(the_release(releases, SECOND), request)
