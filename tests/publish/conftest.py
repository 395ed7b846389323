"""Two small releases and a Hub, shared by the tests of publishing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.publish import DatasetRepo, limit_waiting
from builder.release import Version, open_inputs, release
from builder.workspace import Workspace
from tests.hub_server import WRITE_TOKEN, RunningHub, running_hub
from tests.publish.faulty_hub import FaultyHub
from tests.release.small_workspace import kept_samples, review, save_reviews, small_workspace


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with versions 0.1.0 and 0.2.0: one row edited, one rejected."""
    workspace = small_workspace(tmp_path_factory.mktemp("published") / "ws", num_rows=80)
    samples = kept_samples(workspace)
    edited = next(row for row in samples if row.query_text and row.config == "VQA")
    for version, events in (
        ("0.1.0", []),
        (
            "0.2.0",
            [
                review(edited, 1, edits={"query_text": "mended"}),
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
