"""`python -m builder plan` as a user runs it: before any image, any key and any request."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.config import load_config

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def run(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "builder", "plan", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "100"},
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_sound(recipe):
    assert load_config(recipe).num_samples > 0


def test_the_papers_plan_is_printed_with_prices_without_any_image(tmp_path):
    recipe = next(path for path in RECIPES if path.stem == "mme5")
    result = run("--config", recipe, "-w", tmp_path / "none", "--models", "gpt-5-mini,unheard-of")
    assert result.returncode == 0, result.stderr
    assert "560,000 samples in 93 languages" in result.stdout
    assert "140,000" in result.stdout
    assert "241,360" in result.stdout
    assert "gpt-4o-2024-08-06" in result.stdout
    assert "unknown" in result.stdout
    assert not (tmp_path / "none").exists()


def test_a_judge_is_in_the_price(tmp_path):
    text = "num_samples: 1000\njudge: {model: gpt-5-mini}\n"
    (tmp_path / "judged.yaml").write_text(text)
    result = run("--config", tmp_path / "judged.yaml", "-w", tmp_path / "none", "--models", "")
    assert result.returncode == 0, result.stderr
    rows = [line.split("│") for line in result.stdout.splitlines() if "$" not in line]
    cells = {row[1].strip(): [cell.strip() for cell in row] for row in rows if len(row) > 5}
    judge, both = cells["judge: gpt-5-mini"], cells["both"]
    assert judge[2] == "1,000"
    usd = [float(cells[name][5]) for name in ("gpt-4o-2024-08-06", "judge: gpt-5-mini", "both")]
    assert usd[1] > 0
    assert usd[2] == pytest.approx(usd[0] + usd[1], abs=0.02)
    assert both[2] == "2,053"


def test_a_bad_configuration_is_one_line(tmp_path):
    (tmp_path / "bad.yaml").write_text("num_samples: -1\n")
    result = run("--config", tmp_path / "bad.yaml")
    assert result.returncode == 1
    assert "num_samples" in result.stderr
    assert "Traceback" not in result.stderr
