"""A killed run of any family goes on and ends as if it had not been."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainer.tiny_models import FAMILY_NAMES
from tests.trainer.train_families import NUM_STEPS

ROOT = Path(__file__).parents[3]
_KILLED = [0, -9, 0]


@pytest.fixture(scope="module")
def runs(small_release: Path, bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs a family: whole, killed, and gone on from there."""
    output = tmp_path_factory.mktemp("families")
    command = [sys.executable, "-m", "tests.trainer.train_families"]
    done = subprocess.run(
        [*command, str(small_release), str(bases), str(output)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return output


def test_losses_and_weights_are_those_of_a_run_that_was_not_killed(runs: Path) -> None:
    for family in FAMILY_NAMES:
        statuses = json.loads((runs / f"{family}.json").read_text())
        assert statuses == _KILLED, family
        whole, killed = (runs / family / name for name in ("whole", "killed"))
        losses = _losses(whole)
        assert len(losses) == NUM_STEPS, family
        assert _losses(killed) == losses, family
        found, wanted = (
            torch.load(each / "weights.pt", weights_only=True) for each in (killed, whole)
        )
        for name, tensor in wanted.items():
            assert torch.equal(found[name], tensor), f"{family}: {name}"


def _losses(output: Path) -> list[str]:
    with (output / "log.csv").open(encoding="utf-8") as file:
        return [row["loss"] for row in csv.DictReader(file) if row["loss"]]
