"""A Hub that fails: a version is whole with its tag, or absent, and a retry completes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from builder.publish import ConflictError, DatasetRepo, PublishError, UnreachableError, publish
from builder.publish.client import limit_waiting
from builder.publish.compared_version import version_on_hub
from builder.publish.rollback import rollback
from builder.publish.verify import manifest_entries, verify_release
from builder.release import Version
from builder.release.compare import compare
from builder.workspace import Workspace
from tests.hub_server import RunningHub
from tests.publish.conftest import repo_named
from tests.publish.faulty_hub import KINDS, Fault, FaultyHub

# The official client uploads with a keyword its own HTTP library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

FIRST, SECOND = Version.parse("0.1.0"), Version.parse("0.2.0")
#: Every endpoint a publication speaks to.
ENDPOINTS = {
    "create": r"POST /api/repos/create",
    "refs": r"GET .*/refs",
    "commits": r"GET .*/commits/",
    "tree": r"GET .*/tree/",
    "manifest": r"(GET|HEAD) .*/manifest\.json",
    "xet": r"GET .*/xet-write-token/",
    "preupload": r"POST .*/preupload/",
    "batch": r"POST .*/info/lfs/objects/batch",
    "put": r"PUT ",
    "validate": r"POST /api/validate-yaml",
    "commit": r"POST .*/commit/",
    "tag": r"POST .*/tag/",
}
#: Of each sort of fault one. The three that change what is visible meet every kind.
SORTS = ("503", "429", "timeout", "reset_after")
CHANGING = ("put", "commit", "tag")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, faulty: FaultyHub) -> Iterator[None]:
    """Short waits inside the official client, plain uploads, and no fault left over."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    limit_waiting(1.0)
    yield
    faulty.fault = None


def is_whole(repo: DatasetRepo, directory: Path) -> bool:
    """Whether the version is published; fails if it is tagged but not whole."""
    manifest = verify_release(directory)
    commit = repo.refs().tags.get(Version.parse(manifest.version))
    if commit is None:
        return False
    remote = repo.files(commit)
    for path, entry in manifest_entries(manifest).items():
        assert remote[path].holds(directory / path, entry.sha256)
    assert repo.manifest_bytes(commit) == (directory / "manifest.json").read_bytes()
    return True


def look(repo: DatasetRepo) -> DatasetRepo:
    """The repository as somebody else sees it, with nothing remembered."""
    return DatasetRepo(repo.repo_id, repo.endpoint, repo.token, repo.cache_dir)


@pytest.mark.parametrize("name", [name for name in ENDPOINTS if name != "xet"])
def test_a_publication_survives_each_endpoint_failing(
    hub: RunningHub, faulty: FaultyHub, releases: Workspace, tmp_path: Path, name: str
) -> None:
    first = releases.releases_dir / "0.1.0"
    second = releases.releases_dir / "0.2.0"
    for kind in KINDS if name in CHANGING else SORTS:
        repo = repo_named(hub, f"{name}-{kind}", tmp_path)
        publish(first, repo)
        # A status outlasts the client's own patience; silence does not, to keep this short.
        faulty.fault = Fault(ENDPOINTS[name], kind, times=7 if kind.isdigit() else 1)
        try:
            publish(second, look(repo), attempts=1)
            failed = False
        except PublishError as exc:
            failed = True
            assert repo.repo_id in str(exc) and str(repo.token) not in str(exc)
        assert faulty.fault.num_hits > 0
        faulty.fault = None
        close_session()  # a broken connection is not to meet the checks below
        whole = is_whole(look(repo), second)
        assert whole or failed
        assert is_whole(look(repo), first)
        publish(second, look(repo))
        assert is_whole(look(repo), second)
        assert len(repo.commits()) == 3, f"{name} {kind}: a second commit of one version"


def test_a_short_outage_is_waited_out(
    hub: RunningHub, faulty: FaultyHub, releases: Workspace, tmp_path: Path
) -> None:
    repo = repo_named(hub, "outage", tmp_path)
    waits: list[float] = []
    faulty.fault = Fault(ENDPOINTS["commit"], "503", times=2)
    done = publish(releases.releases_dir / "0.1.0", repo, sleep=waits.append)
    assert done.made_commit and waits == [1.0, 2.0]


def test_a_commit_whose_answer_got_lost_is_found_and_tagged(
    hub: RunningHub, faulty: FaultyHub, releases: Workspace, tmp_path: Path
) -> None:
    repo = repo_named(hub, "lost", tmp_path)
    faulty.fault = Fault(ENDPOINTS["commit"], "reset_after")
    done = publish(releases.releases_dir / "0.1.0", repo, sleep=lambda seconds: None)
    assert not done.made_commit and done.made_tag
    assert len(repo.commits()) == 2


def test_a_hub_that_is_down_is_said_in_words(releases: Workspace, tmp_path: Path) -> None:
    repo = DatasetRepo("demo/x", "http://127.0.0.1:9", "hub_token", tmp_path)
    with pytest.raises(UnreachableError, match=r"demo/x on http://127\.0\.0\.1:9: no answer"):
        publish(releases.releases_dir / "0.1.0", repo, attempts=1)


def test_a_stale_parent_is_a_conflict_and_nothing_is_visible(
    hub: RunningHub, faulty: FaultyHub, releases: Workspace, tmp_path: Path
) -> None:
    repo = repo_named(hub, "stale", tmp_path)
    faulty.fault = Fault(ENDPOINTS["commit"], "412")
    with pytest.raises(ConflictError, match="Nothing of this version is visible yet"):
        publish(releases.releases_dir / "0.1.0", repo)
    assert repo.refs().tags == {} and len(repo.commits()) == 1


@pytest.mark.parametrize("name", ["tree", "commit", "tag"])
def test_a_rollback_survives_each_endpoint_failing(
    hub: RunningHub, faulty: FaultyHub, releases: Workspace, tmp_path: Path, name: str
) -> None:
    for kind in ("500", "412", "timeout", "reset_after"):
        repo = repo_named(hub, f"back-{name}-{kind}", tmp_path)
        for version in (FIRST, SECOND):
            publish(releases.releases_dir / str(version), repo)
        faulty.fault = Fault(ENDPOINTS[name], kind)
        try:
            rollback(look(repo), FIRST, attempts=1)
        except PublishError as exc:
            assert repo.repo_id in str(exc)
        assert faulty.fault.num_hits == 1
        faulty.fault = None
        close_session()
        done = rollback(look(repo), FIRST)
        assert str(done.version) == "0.2.1"
        assert len(repo.commits()) == 4


def test_a_hub_without_xet_gets_plain_uploads(
    hub: RunningHub,
    faulty: FaultyHub,
    releases: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    repo = repo_named(hub, "plain", tmp_path)
    faulty.fault = Fault(ENDPOINTS["xet"], "404", times=99)
    publish(releases.releases_dir / "0.1.0", repo)
    assert is_whole(look(repo), releases.releases_dir / "0.1.0")
    assert any("/demo/plain.git/info/lfs/" in line for line in hub.requests)
    assert constants.HF_HUB_DISABLE_XET is False


def test_a_hub_that_fails_during_a_diff_is_said_in_words(
    hub: RunningHub, faulty: FaultyHub, releases: Workspace, tmp_path: Path
) -> None:
    repo = repo_named(hub, "diff", tmp_path)
    for version in ("0.1.0", "0.2.0"):
        publish(releases.releases_dir / version, repo)
    versions = [version_on_hub(repo, repo.repo_id, version) for version in ("0.1.0", "0.2.0")]
    faulty.fault = Fault(r"GET .*\.parquet", "500", times=99)
    with pytest.raises(UnreachableError, match=r"demo/diff on .*is temporarily unavailable"):
        compare(*versions)
