"""The directory a demo runs in, and what it finds there."""

import subprocess
import sys
from pathlib import Path

import pytest

import builder.demo
from builder.config import load_config
from builder.demo.context import RECIPE, DemoError
from builder.demo.directory import DemoDirectory, open_directory


def demo(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builder", "demo", "--root", str(root), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_recipe_comes_with_the_package() -> None:
    assert RECIPE.is_relative_to(Path(builder.demo.__file__).parent)
    assert load_config(RECIPE).name == "pictograms"


def test_fresh_leaves_a_workspace_that_no_demo_made(tmp_path: Path) -> None:
    ledger = tmp_path / "workspace" / "ledger.sqlite"
    ledger.parent.mkdir()
    ledger.write_text("paid for")
    (tmp_path / "thesis.txt").write_text("precious")
    done = demo(tmp_path, "--fresh")
    assert done.returncode == 1
    assert f"{tmp_path}: exists and is not a demo directory" in done.stderr
    assert "--root" in done.stderr
    assert ledger.read_text() == "paid for"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.txt", "workspace"]


def test_clearing_a_demo_removes_what_a_demo_makes_and_nothing_else(tmp_path: Path) -> None:
    place = open_directory(tmp_path / "demo")
    for name in ("workspace/images", "hub", "notes"):
        (place.root / name).mkdir(parents=True)
        (place.root / name / "file").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "recall.json").touch()
    (place.root / "training").symlink_to(tmp_path / "elsewhere")
    place.choose_recipe(load_config(RECIPE))
    (place.root / "summary.json").touch()
    place.clear()
    assert sorted(path.name for path in place.root.iterdir()) == ["demo.json", "notes"]
    assert (place.root / "notes" / "file").exists()
    assert (tmp_path / "elsewhere" / "recall.json").exists()
    assert open_directory(place.root) == place


def test_another_recipe_is_refused_by_name_and_leaves_the_first_alone(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    recipe = open_directory(root).choose_recipe(_recipe(num_samples=200))
    before = recipe.read_bytes()
    done = demo(root, "--num-samples", "300")
    assert done.returncode == 1
    assert "begun with another recipe (`num_samples` 200, now 300)" in done.stderr
    assert "--fresh" in done.stderr
    assert recipe.read_bytes() == before
    with pytest.raises(DemoError, match=r"\(other `num_samples`, `seed`\)"):
        DemoDirectory(root).choose_recipe(_recipe(num_samples=300, seed=2))
    assert open_directory(root).choose_recipe(_recipe(num_samples=200)) == recipe


def test_a_second_demo_in_one_place_is_refused(tmp_path: Path) -> None:
    with open_directory(tmp_path / "demo").locked():
        done = demo(tmp_path / "demo", "--fresh")
    assert done.returncode == 1
    assert "another demo runs here" in done.stderr


def test_a_root_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        done = demo(root)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert f"{root}: " in done.stderr
        assert "--root" in done.stderr


def _recipe(**changes: int):
    return load_config(RECIPE).model_copy(update=changes)
