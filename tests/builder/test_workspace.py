import subprocess
import sys
from pathlib import Path

import pytest

from builder.workspace import WorkspaceError, open_workspace


def test_a_workspace_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    open_workspace(tmp_path, create=True)
    (tmp_path / "workspace.json").write_text('{"workspace_version": 99}')
    done = subprocess.run(
        [sys.executable, "-m", "builder", "release", "--version", "0.1.0", "-w", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "workspace version 99, this program reads 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="images add"):
        open_workspace(tmp_path / "none")


def test_a_second_writer_is_kept_out(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path, create=True)
    with (
        workspace.locked(),
        pytest.raises(WorkspaceError, match="another process is writing"),
        workspace.locked(),
    ):
        pass
    with workspace.locked():
        pass
