"""The Makefile, in a directory of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile and what it reads, in a new place."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        ["make", *arguments, f"PYTHON={sys.executable}"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_the_app_opens_the_demos_workspace_once_there_is_one(clone: Path) -> None:
    (clone / "demo").mkdir()
    (clone / "demo" / "summary.json").touch()
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".demo").touch()
    planned = make(clone, "-n", "app")
    assert planned.returncode == 0, planned.stderr
    assert "serve --dataset demo/workspace " in planned.stdout
    (clone / "demo" / "summary.json").unlink()
    assert "builder demo" in make(clone, "-n", "app").stdout


def test_one_command_sets_up_without_the_demo(clone: Path) -> None:
    planned = make(clone, "-n", "install")
    assert planned.returncode == 0, planned.stderr
    assert (
        "pip install" in planned.stdout and "-c constraints.txt -e '.[app,train]'" in planned.stdout
    )
    assert "-m builder demo" not in planned.stdout
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".demo").touch()
    again = make(clone, "-n", "install")
    assert "pip install" not in again.stdout and "source .venv/bin/activate" in again.stdout


def test_an_environment_left_half_made_is_finished(clone: Path) -> None:
    """As `python -m venv` leaves it where ensurepip is missing: a Python, and no pip."""
    python = clone / ".venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(clone / ".venv")], check=True
    )
    has_pip = [str(python), "-m", "pip", "--version"]
    assert subprocess.run(has_pip, capture_output=True, check=False).returncode != 0
    assert make(clone, "venv").returncode == 0
    assert subprocess.run(has_pip, capture_output=True, check=False).returncode == 0
    untouched = (clone / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    assert make(clone, "venv").returncode == 0
    assert (clone / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == untouched
