"""`python -m builder images` as a user runs it."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.images.in_process import builder

DESCRIPTOR = Path(__file__).with_name("descriptor.yaml")


def run(*arguments: str | Path, max_file_bytes: int | None = None) -> CompletedProcess[str]:
    """Runs `python -m builder images`; in a process of its own where files are limited."""
    words = ["images", *map(str, arguments)]
    if arguments[0] == "add":
        words += ["-c", str(DESCRIPTOR)]
    if max_file_bytes is None:
        return builder(*words)
    limits = (max_file_bytes, max_file_bytes)
    return subprocess.run(
        [sys.executable, "-m", "builder", *words],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


@pytest.fixture
def folder(tmp_path, noise) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for seed, format in enumerate(("JPEG", "PNG", "WEBP")):
        (made / f"{seed}.{format.lower()}").write_bytes(noise(seed, format))
    (made / "renamed.png").write_bytes(noise(7, "JPEG"))
    (made / "cut.jpg").write_bytes(noise(8, "JPEG")[:-200])
    (made / "empty.webp").touch()
    return made


def test_add_stats_list_and_refused(folder, tmp_path):
    workspace = tmp_path / "w"
    added = run("add", folder, "-w", workspace, "--licence", "CC0-1.0", "--source", "mine")
    assert added.returncode == 0, added.stderr
    assert "6 seen, 4 added, 0 already there, 2 refused" in added.stderr
    assert "1 were kept although their suffix belongs to another format" in added.stderr
    again = run("add", folder, "-w", workspace)
    assert "0 added, 4 already there, 2 refused" in again.stderr
    stats = run("stats", "-w", workspace)
    assert "CC0-1.0 4" in stats.stdout
    assert "JPEG 2" in stats.stdout
    listed = run("list", "-w", workspace, "--limit", "3")
    assert len(listed.stdout.splitlines()) == 3
    assert "mine/" in listed.stdout
    refused = run("refused", "-w", workspace)
    reasons = [line.split("\t")[0] for line in refused.stdout.splitlines()]
    assert sorted(reasons) == ["empty_file", "truncated"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "no-such-folder"), "no such file or folder"),
        (("stats", "-w", "no-such-workspace"), "not a workspace"),
        (("add", ".", "--kind", "parquet", "-w", "{tmp}/w"), "no .parquet file"),
    ],
)
def test_mistakes_are_one_line_and_a_non_zero_exit(arguments, message, tmp_path):
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    if filled[1] == ".":
        filled[1] = str(tmp_path)
    result = run(*filled)
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_folder_without_images_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    result = run("add", tmp_path / "in", "-w", tmp_path / "w")
    assert result.returncode == 1
    assert "it has no image file" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_image_file_is_added_and_a_spoilt_one_fails_in_right_words(folder, tmp_path):
    added = run("add", folder / "0.jpeg", "-w", tmp_path / "w")
    assert added.returncode == 0, added.stderr
    assert "1 seen, 1 added" in added.stderr
    result = run("add", folder / "cut.jpg", "-w", tmp_path / "w")
    assert result.returncode == 1
    assert "tar" not in result.stderr
    assert "cut.jpg: every image was refused (truncated 1)" in result.stderr


def test_adding_fails_only_where_nothing_is_fit(folder, tmp_path, noise):
    for spoilt in ("0.jpeg", "1.png", "2.webp", "renamed.png"):
        (folder / spoilt).write_bytes(b"no image")
    result = run("add", folder, "-w", tmp_path / "w")
    assert result.returncode == 1
    assert "6 seen, 0 added, 0 already there, 6 refused" in result.stderr
    assert "every image was refused (unreadable 4" in result.stderr.splitlines()[-1]
    (folder / "good.png").write_bytes(noise(11, "PNG"))
    for said in ("1 added, 0 already there, 6 refused", "0 added, 1 already there, 6 refused"):
        result = run("add", folder, "-w", tmp_path / "w")
        assert (result.returncode, said in result.stderr) == (0, True), result.stderr


def test_no_space_left_is_one_clear_line_and_loses_nothing(folder, tmp_path, noise):
    """A cap on file size stands for a full disk: the write fails in the same place."""
    workspace = tmp_path / "w"
    assert run("add", folder, "-w", workspace).returncode == 0
    (folder / "large.png").write_bytes(noise(9, "PNG", (1200, 900)))
    result = run("add", folder, "-w", workspace, max_file_bytes=200_000)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Free some space" in result.stderr
    assert run("add", folder, "-w", workspace).returncode == 0
    assert "images" in run("stats", "-w", workspace).stdout
