"""Two small releases and a Hub, shared by the tests of publishing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.publish import DatasetRepo, limit_waiting
from builder.publish.verify import verify_release
from builder.release import Version, open_inputs, release
from builder.workspace import Workspace
from tests.hub_server import WRITE_TOKEN, RunningHub, running_hub
from tests.publish.faulty_hub import FaultyHub
from tests.release.small_workspace import kept_samples, review, save_reviews, small_workspace

FIRST, SECOND = Version.parse("0.1.0"), Version.parse("0.2.0")


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with versions 0.1.0 and 0.2.0: one row edited, one rejected."""
    workspace = small_workspace(tmp_path_factory.mktemp("published") / "ws", num_rows=80)
    samples = kept_samples(workspace)
    english = (row for row in samples if row.language == "en")
    edited = next(row for row in english if row.config == "VQA")
    for version, events in (
        ("0.1.0", []),
        (
            "0.2.0",
            [
                review(edited, 1, edits={"query_text": "corrected"}),
                review(samples[0], 2, verdict="reject"),
            ],
        ),
    ):
        save_reviews(workspace, events)
        with open_inputs(workspace, None) as inputs:
            release(inputs, Version.parse(version), workspace.releases_dir)
    return workspace


@pytest.fixture(scope="module")
def faulty() -> FaultyHub:
    return FaultyHub()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, faulty: FaultyHub) -> Iterator[RunningHub]:
    root = tmp_path_factory.mktemp("hub")
    limit_waiting(10.0)
    with running_hub(root / "hub", wrap=faulty.wrap) as running:
        yield running


@pytest.fixture
def repo(
    hub: RunningHub, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DatasetRepo:
    """A repository of its own for each test, not yet made."""
    return repo_named(hub, f"r{abs(hash(request.node.nodeid)):x}", tmp_path_factory.mktemp("cache"))


def repo_named(
    hub: RunningHub, name: str, cache: Path, token: str | None = WRITE_TOKEN
) -> DatasetRepo:
    return DatasetRepo(f"demo/{name}", hub.url, token, cache)


def the_release(workspace: Workspace, version: Version = FIRST) -> Path:
    return workspace.releases_dir / str(version)


def check_published(repo: DatasetRepo, directory: Path) -> None:
    """The tag's tree holds every file of the release, byte for byte, and the commit count is."""
    manifest = verify_release(directory)
    commit = repo.commit_of(Version.parse(manifest.version))
    remote = repo.files(commit)
    for entry in (*manifest.shards, *manifest.files):
        assert remote[entry.path].holds(directory / entry.path, entry.sha256)
    names = {entry.path for entry in (*manifest.shards, *manifest.files)}
    assert set(remote) - names == {".gitattributes", "manifest.json"}


def other_content(releases: Workspace, tmp_path: Path, version: Version = SECOND) -> Path:
    """A release of this version made from other rows; a later one continues those there."""
    shutil.copytree(releases.root, tmp_path / "other")
    workspace = Workspace(tmp_path / "other")
    if version <= SECOND:
        shutil.rmtree(workspace.releases_dir)
    workspace.reviews_path.unlink()
    with open_inputs(workspace, None) as inputs:
        return release(inputs, version, workspace.releases_dir).directory
