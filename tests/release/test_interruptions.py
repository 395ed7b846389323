"""A release that is killed or runs out of space leaves nothing, and the next one is whole."""

import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.release import Version, open_inputs, release
from builder.workspace import Workspace
from tests.release.killed_release import release_killed_at, release_with_little_space
from tests.release.small_workspace import (
    kept_samples,
    review,
    save_reviews,
    small_workspace,
)

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["builder.release", "builder.images.store", "duckdb"])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with 0.1.0 released and an edit waiting for 0.2.0."""
    workspace = small_workspace(tmp_path_factory.mktemp("killed") / "ws", num_rows=240)
    make(workspace, "0.1.0")
    sample = next(row for row in kept_samples(workspace) if row.query_text)
    save_reviews(workspace, [review(sample, 1, edits={"query_text": "corrected"})])
    return workspace


@pytest.fixture(scope="module")
def uninterrupted(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict:
    root = tmp_path_factory.mktemp("whole") / "ws"
    shutil.copytree(workspace.root, root)
    return files(make(Workspace(root), "0.2.0"))


def make(workspace: Workspace, version: str) -> Path:
    with open_inputs(workspace, None) as inputs:
        return release(inputs, Version.parse(version), workspace.releases_dir).directory


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize(
    ("stage", "call"), [("rows", 1), ("last shards", 1), ("card", 1), ("writing to disk", 1)]
)
def test_a_killed_release_leaves_no_version_and_the_next_is_whole(
    workspace: Workspace, uninterrupted: dict, tmp_path: Path, stage: str, call: int
) -> None:
    shutil.copytree(workspace.root, tmp_path / "ws")
    copy = Workspace(tmp_path / "ws")
    child = _FORKS.Process(target=release_killed_at, args=(str(copy.root), "0.2.0", stage, call))
    child.start()
    child.join()
    assert child.exitcode == -9
    assert not (copy.releases_dir / "0.2.0").exists()
    assert files(make(copy, "0.2.0")) == uninterrupted
    assert sorted(path.name for path in copy.releases_dir.iterdir()) == ["0.1.0", "0.2.0"]


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(
    workspace: Workspace, uninterrupted: dict, tmp_path: Path
) -> None:
    shutil.copytree(workspace.root, tmp_path / "ws")
    copy = Workspace(tmp_path / "ws")
    before = files(copy.releases_dir)
    # Enough for SQLite's own files, too little for the largest shard.
    arguments = (str(copy.root), "0.2.0", 40_000)
    child = _FORKS.Process(target=release_with_little_space, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 3
    assert files(copy.releases_dir) == before
    assert files(make(copy, "0.2.0")) == uninterrupted


_ON_TINY_DISK = """
mount -t tmpfs -o size=64k none "$1" && exec "$2" -m builder release --version 0.2.0 -w "$3"
"""


def test_a_really_full_disk_is_one_clear_line(workspace: Workspace, tmp_path: Path) -> None:
    probe = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$1"', "sh", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(probe, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    shutil.copytree(workspace.root, tmp_path / "ws")
    releases = tmp_path / "ws" / "releases"
    arguments = [str(releases), sys.executable, str(tmp_path / "ws")]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", _ON_TINY_DISK, "sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    assert "no version was made" in " ".join(done.stderr.split())
