"""Pull requests and discussions, as the official client opens, reads and merges them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from builder.local_hub.storage.discussions import MAX_TITLE_CHARS
from tests.hub_server import OTHER_TOKEN, READ_TOKEN, WRITE_TOKEN, RunningHub, run_client
from tests.local_hub.conftest import Caller, put

# The official client uploads with a keyword its own HTTP library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Hub = Callable[[str], HfApi]
KIND = {"repo_type": "dataset"}


@pytest.fixture
def api(hub: RunningHub) -> Hub:
    return lambda token: HfApi(hub.url, token=token)


@pytest.fixture
def repo(api: Hub, request: pytest.FixtureRequest) -> str:
    """A dataset of `demo` with two files."""
    name = f"demo/p{abs(hash(request.node.nodeid)):x}"
    owner = api(WRITE_TOKEN)
    owner.create_repo(name, repo_type="dataset")
    commit(owner, name, a=b"a 1", b=b"b 1")
    return name


def commit(api: HfApi, repo: str, *, create_pr: bool = False, revision: str = "main", **files):
    operations = [
        CommitOperationDelete(path) if content is None else CommitOperationAdd(path, content)
        for path, content in files.items()
    ]
    return api.create_commit(
        repo,
        operations,
        commit_message="a change",
        commit_description="because",
        repo_type="dataset",
        revision=revision,
        create_pr=create_pr,
    )


def read(api: HfApi, repo: str, path: str, revision: str, tmp_path: Path) -> bytes:
    found = api.hf_hub_download(
        repo, path, repo_type="dataset", revision=revision, cache_dir=tmp_path
    )
    return Path(found).read_bytes()


def test_a_stranger_proposes_and_the_owner_merges(api: Hub, repo: str, tmp_path: Path) -> None:
    owner, stranger = api(WRITE_TOKEN), api(OTHER_TOKEN)
    before = owner.repo_info(repo, **KIND).sha
    made = commit(stranger, repo, create_pr=True, a=b"a 2", c=b"c 1")
    assert (made.pr_num, made.pr_revision) == (1, "refs/pr/1")
    assert made.pr_url is not None and made.pr_url.endswith(f"/datasets/{repo}/discussions/1")
    assert owner.repo_info(repo, **KIND).sha == before, "main is as it was"
    assert read(owner, repo, "a", "refs/pr/1", tmp_path) == b"a 2"
    refs = owner.list_repo_refs(repo, include_pull_requests=True, **KIND)
    assert refs.pull_requests is not None
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests] == [("refs/pr/1", made.oid)]
    commit(stranger, repo, revision="refs/pr/1", c=b"c 2")
    commit(owner, repo, b=b"b 2")

    found = owner.get_discussion_details(repo, 1, **KIND)
    assert (found.status, found.author, found.is_pull_request) == ("open", "other", True)
    assert (found.target_branch, found.conflicting_files) == ("refs/heads/main", [])
    assert [event.type for event in found.events] == ["comment", "commit"]
    with pytest.raises(HfHubHTTPError, match="403"):
        stranger.merge_pull_request(repo, 1, **KIND)
    owner.merge_pull_request(repo, 1, comment="thanks", **KIND)
    merged = owner.get_discussion_details(repo, 1, **KIND)
    latest = owner.list_repo_commits(repo, **KIND)[0]
    assert (merged.status, merged.merge_commit_oid) == ("merged", latest.commit_id)
    assert latest.title == "a change (#1)"
    contents = [read(owner, repo, path, latest.commit_id, tmp_path) for path in "abc"]
    assert contents == [b"a 2", b"b 2", b"c 2"]
    for act in (
        lambda: owner.merge_pull_request(repo, 1, **KIND),
        lambda: owner.change_discussion_status(repo, 1, "open", **KIND),
        lambda: commit(stranger, repo, revision="refs/pr/1", c=b"c 3"),
    ):
        with pytest.raises(BadRequestError):
            act()


@pytest.mark.parametrize("theirs", [b"a 3", None])
def test_a_pull_request_that_conflicts_is_not_merged(
    api: Hub, repo: str, theirs: bytes | None
) -> None:
    owner = api(WRITE_TOKEN)
    commit(owner, repo, create_pr=True, a=b"a 2", c=b"c 1")
    commit(owner, repo, a=theirs)
    head = owner.repo_info(repo, **KIND).sha
    assert owner.get_discussion_details(repo, 1, **KIND).conflicting_files == ["a"]
    with pytest.raises(HfHubHTTPError, match="409"):
        owner.merge_pull_request(repo, 1, **KIND)
    assert owner.repo_info(repo, **KIND).sha == head
    assert owner.get_discussion_details(repo, 1, **KIND).status == "open"


def test_a_pull_request_may_delete_a_file(api: Hub, repo: str) -> None:
    owner = api(WRITE_TOKEN)
    commit(owner, repo, create_pr=True, a=None)
    owner.merge_pull_request(repo, 1, **KIND)
    assert owner.list_repo_files(repo, **KIND) == [".gitattributes", "b"]


def test_a_draft_is_opened_filled_and_merged(api: Hub, repo: str) -> None:
    owner = api(WRITE_TOKEN)
    opened = owner.create_pull_request(repo, "to come", **KIND)
    assert (opened.num, opened.status, opened.git_reference) == (1, "draft", "refs/pr/1")
    commit(owner, repo, revision="refs/pr/1", c=b"c 1")
    owner.merge_pull_request(repo, 1, **KIND)
    assert "c" in owner.list_repo_files(repo, **KIND)


def test_discussions_are_listed_commented_renamed_and_closed(api: Hub, repo: str) -> None:
    owner, stranger = api(WRITE_TOKEN), api(OTHER_TOKEN)
    owner.create_discussion(repo, "a question", description="why?", **KIND)
    commit(stranger, repo, create_pr=True, c=b"c 1")
    assert stranger.comment_discussion(repo, 1, "because <b>", **KIND).content == "because <b>"
    assert owner.rename_discussion(repo, 1, "answered", **KIND).new_title == "answered"
    closed = owner.change_discussion_status(repo, 1, "closed", comment="done", **KIND)
    assert closed.new_status == "closed"
    found = owner.get_discussion_details(repo, 1, **KIND)
    assert [event.type for event in found.events] == [
        *("comment", "comment", "title-change", "comment", "status-change")
    ]
    assert (found.title, found.is_pull_request, found.merge_commit_oid) == ("answered", False, None)

    def numbers(**wanted: str) -> list[int]:
        return [entry.num for entry in owner.get_repo_discussions(repo, **wanted, **KIND)]

    assert numbers() == [2, 1]
    assert numbers(discussion_type="pull_request") == [2]
    assert numbers(discussion_status="closed") == [1]
    assert numbers(author="other", discussion_status="open") == [2]
    with pytest.raises(HfHubHTTPError, match="403"):
        stranger.rename_discussion(repo, 1, "mine", **KIND)


def test_readers_and_strangers_of_private_repositories_propose_nothing(
    api: Hub, repo: str, hub: RunningHub
) -> None:
    with pytest.raises(HfHubHTTPError, match="403"):
        commit(api(READ_TOKEN), repo, create_pr=True, c=b"c 1")
    with pytest.raises(HfHubHTTPError, match="403"):
        api(READ_TOKEN).create_discussion(repo, "hello", **KIND)
    api(WRITE_TOKEN).update_repo_settings(repo, private=True, **KIND)
    with pytest.raises(HfHubHTTPError, match="404"):
        commit(api(OTHER_TOKEN), repo, create_pr=True, c=b"c 1")
    assert list(api(WRITE_TOKEN).get_repo_discussions(repo, **KIND)) == []


@pytest.mark.parametrize("title", ["", " ", "x" * (MAX_TITLE_CHARS + 1), None, 3])
def test_a_title_is_checked(owner: Caller, title: object) -> None:
    repo = "demo/titles"
    owner.post("/api/repos/create", json={"name": "titles", "type": "dataset"})
    answer = owner.post(f"/api/datasets/{repo}/discussions", json={"title": title})
    assert answer.status_code == 400 and "title" in answer.text


@pytest.mark.parametrize("number", ["0", "99", "-1", "x", "9" * 12, "1%2F2"])
def test_a_number_without_a_discussion_is_refused(owner: Caller, number: str) -> None:
    owner.post("/api/repos/create", json={"name": "numbers", "type": "dataset"})
    for path in (
        f"/api/datasets/demo/numbers/discussions/{number}",
        f"/datasets/demo/numbers/discussions/{number}",
        f"/api/datasets/demo/numbers/revision/refs%2Fpr%2F{number}",
    ):
        assert owner.get(path).status_code in (400, 404), path
    answer = owner.commit("demo/numbers", put("a", b"1"), branch=f"refs%2Fpr%2F{number}")
    assert answer.status_code in (400, 404)


def test_a_page_shows_a_discussion_without_its_markup(owner: Caller) -> None:
    repo = owner.create("pages")
    request = {"title": "<i>title</i>", "description": "<script>text</script>"}
    owner.post(f"/api/datasets/{repo}/discussions", json=request)
    page = owner.get(f"/datasets/{repo}/discussions/1").text
    assert "&lt;script&gt;text" in page and "<script" not in page and "<i>" not in page


def test_a_large_file_is_proposed_by_xet_and_by_lfs(
    hub: RunningHub, repo: str, tmp_path: Path
) -> None:
    script = """
import sys
from huggingface_hub import HfApi
made = HfApi().upload_file(path_or_fileobj=sys.argv[3].encode() * 2_000_000, path_in_repo="a.bin",
                           repo_id=sys.argv[1], repo_type="dataset", create_pr=True)
print(made.pr_num)
"""
    for number, xet in ((1, True), (2, False)):
        said = run_client(
            script, hub.url, tmp_path / "home", repo, "x", f"{number}", token=OTHER_TOKEN, xet=xet
        )
        assert said.split()[-1] == str(number)
        api = HfApi(hub.url, token=WRITE_TOKEN)
        content = read(api, repo, "a.bin", f"refs/pr/{number}", tmp_path / "cache")
        assert content == b"%d" % number * 2_000_000
