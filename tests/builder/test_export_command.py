"""`python -m builder export`: where it does not write, and what it does not read."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder.release import Version, open_inputs, release
from builder.workspace import Workspace
from tests.release.small_workspace import small_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with version 0.1.0."""
    made = small_workspace(tmp_path_factory.mktemp("export") / "workspace", num_rows=20)
    with open_inputs(made, None) as inputs:
        release(inputs, Version.parse("0.1.0"), made.releases_dir)
    return made


def export(workspace: Workspace, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "builder", "export", str(target), "--format", "webdataset"]
    return subprocess.run(
        [*command, "-w", str(workspace.root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_file_in_the_way_is_one_line_and_stays(workspace: Workspace, tmp_path: Path) -> None:
    in_the_way = tmp_path / "notes.txt"
    in_the_way.write_text("precious")
    for target in (in_the_way, in_the_way / "below"):
        done = export(workspace, target)
        assert done.returncode == 1
        (line,) = (done.stdout + done.stderr).splitlines()
        assert str(in_the_way) in line
        assert "directory" in line
    assert in_the_way.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [in_the_way]
    assert export(workspace, tmp_path / "new").returncode == 0


def test_a_workspace_of_another_version_is_not_exported(
    workspace: Workspace, tmp_path: Path
) -> None:
    marker = workspace.root / "workspace.json"
    before = marker.read_bytes()
    marker.write_bytes(b'{"workspace_version": 99}')
    try:
        done = export(workspace, tmp_path / "out")
    finally:
        marker.write_bytes(before)
    assert done.returncode == 1
    assert "workspace version 99, this program reads 1" in done.stderr
    assert not (tmp_path / "out").exists()
