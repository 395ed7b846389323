"""Several publishers at once: one commit, and no version of mixed content."""

import threading
from pathlib import Path

import pytest

from builder.publish import (
    ConflictError,
    DatasetRepo,
    PublishError,
    StaleError,
    TagTakenError,
    publish,
)
from builder.workspace import Workspace
from tests.hub_server import RunningHub
from tests.publish.conftest import (
    SECOND,
    check_published,
    other_content,
    repo_named,
    the_release,
)


def test_eight_publishers_of_the_same_version_make_one_commit(
    hub: RunningHub, releases: Workspace, tmp_path: Path
) -> None:
    results = _publish_at_once(hub, "same", [the_release(releases)] * 8, tmp_path)
    repo = repo_named(hub, "same", tmp_path / "look")
    assert len(repo.commits()) == 2
    assert sum(getattr(result, "made_commit", False) for result in results) == 1
    check_published(repo, the_release(releases))
    for result in results:
        assert not isinstance(result, Exception) or isinstance(result, ConflictError)
    assert not publish(the_release(releases), repo).made_commit


@pytest.mark.parametrize("stranger", [False, True])
def test_a_publisher_overtaken_by_another_of_the_same_version_takes_over_its_commit(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path, stranger: bool
) -> None:
    """The client sends no empty commit, and answers with a head that need not be the version's."""
    directory = the_release(releases)
    overtaking = DatasetRepo(repo.repo_id, repo.endpoint, repo.token, tmp_path / "other")
    overtook: list[str] = []

    def overtake(stage: str, num_bytes: int, total: int) -> None:
        if stage == "uploading" and not overtook:
            overtook.append(publish(directory, overtaking).commit)
            if stranger:
                overtaking.api.upload_file(
                    path_or_fileobj=b"a note",
                    path_in_repo="notes.txt",
                    repo_id=repo.repo_id,
                    repo_type="dataset",
                )

    done = publish(directory, repo, progress=overtake)
    assert (done.commit, done.made_commit, done.made_tag) == (overtook[0], False, False)
    check_published(repo, directory)


def test_eight_publishers_of_other_content_leave_one_whole_version(
    hub: RunningHub, releases: Workspace, tmp_path: Path
) -> None:
    other = other_content(releases, tmp_path)
    both = [the_release(releases, SECOND), other] * 4
    results = _publish_at_once(hub, "other", both, tmp_path)
    repo = repo_named(hub, "other", tmp_path / "look")
    assert len(repo.commits()) == 2
    winners = [result for result in results if getattr(result, "made_commit", False)]
    assert len(winners) == 1
    for result in results:
        if isinstance(result, Exception):
            assert isinstance(result, (ConflictError, StaleError, TagTakenError)), result
    won = both[results.index(winners[0])]
    publish(won, repo)
    check_published(repo, won)


def _publish_at_once(
    hub: RunningHub, name: str, directories: list[Path], tmp_path: Path
) -> list[object]:
    repo_named(hub, name, tmp_path / "make").ensure(private=False)
    start = threading.Barrier(len(directories))
    results: list[object] = [None] * len(directories)

    def one(number: int) -> None:
        repo = repo_named(hub, name, tmp_path / f"cache{number}")
        start.wait()
        try:
            results[number] = publish(directories[number], repo)
        except PublishError as exc:
            results[number] = exc

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(directories))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result is not None for result in results)
    return results
