"""A built workspace for the tests of releases, and copies to change."""

import shutil
from pathlib import Path

import pytest

from builder.workspace import Workspace
from tests.release.small_workspace import small_workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """240 kept samples, nothing released; never to be changed."""
    return small_workspace(tmp_path_factory.mktemp("build") / "ws", num_rows=240)


@pytest.fixture
def copy(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The module's workspace, to do with as a test likes."""
    shutil.copytree(workspace.root, tmp_path / "ws")
    return Workspace(tmp_path / "ws")
