import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer.cli import main
from trainer.encoders.feature_cache import FeatureCache

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


def _torch() -> None:
    pytest.importorskip("torch", reason="torch is not installed: extra `train`")


def test_help_needs_no_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
from trainer.cli import main
for command in ("train", "evaluate", "compare", "weak-spots", "push"):
    sys.argv = ["trainer", command, "--help"]
    try:
        main()
    except SystemExit as left:
        assert not left.code, command
"""
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("Usage") == 5


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
    [("train", "torch"), ("train", "safetensors"), ("train", "peft"), ("evaluate", "torch")],
)
def test_a_missing_package_is_told_before_the_work(
    run, command: str, package: str, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _torch()
    monkeypatch.setitem(sys.modules, package, None)
    model = ("--model", tmp_path / "absent") if command == "evaluate" else ()
    output = tmp_path / "made"
    code, _, complaint = run(command, *model, "--dataset", release, "--output", output)
    assert code == 1
    assert complaint.startswith(f"error: {package} ") and "pip install -e '.[train]'" in complaint
    assert not output.exists()


def test_train_exports_a_model_that_evaluate_and_sentence_transformers_read(
    run, small_release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _torch()
    model, report = tmp_path / "model", tmp_path / "report"
    code, shown, _ = run(
        *("train", "--dataset", f"{small_release}@0.1.0", "--output", model, "--model", "ngram"),
        *("--languages", "en,de", "--steps", 12, "--batch-size", 16, "--learning-rate", "1e-3"),
    )
    assert code == 0
    lines = caplog.text
    assert "reading shapes@0.1.0: 360 rows to train on" in lines
    assert "training ngram" in lines and "nothing here is pretrained" in lines
    assert "rows with image and text on one side are trained on as text-image pairs" in lines
    assert "step=12/12 loss=" in lines
    assert f'SentenceTransformer("{model}", trust_remote_code=True)' in shown
    config = json.loads((model / "train_config.json").read_text(encoding="utf-8"))
    assert config["dataset"] == "shapes@0.1.0" and config["num_steps"] == 12
    assert str(tmp_path) not in (model / "README.md").read_text(encoding="utf-8")
    assert (model / "curves.png").read_bytes().startswith(b"\x89PNG")
    code, shown, _ = run(
        *("evaluate", "--dataset", small_release, "--model", model, "--output", report),
        *("--k", 1),
    )
    assert code == 0 and "recall@1" in shown
    content = json.loads((report / "evaluation.json").read_text(encoding="utf-8"))
    assert content["sections"]["concepts"]["num_candidates"] == 6


def test_the_same_command_again_has_nothing_left_to_train(
    run, small_release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _torch()
    words = ("train", "--dataset", small_release, "--output", tmp_path, "--model", "ngram")
    assert run(*words, "--steps", 4, "--batch-size", 16)[0] == 0
    before = (tmp_path / "README.md").read_bytes()
    caplog.clear()
    assert run(*words, "--steps", 4, "--batch-size", 16)[0] == 0
    assert "resumed after step 4 of 4" in caplog.text
    assert "loss=" not in caplog.text
    assert (tmp_path / "README.md").read_bytes() == before


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(
    run, small_release: Path, tmp_path: Path
) -> None:
    _torch()
    output = tmp_path / "model"
    code, shown, _ = run(
        *("train", "--dataset", small_release, "--output", output, "--model", "ngram", "--dry-run")
    )
    assert code == 0
    assert "shapes@0.1.0, 360 rows in 4 languages" in shown
    assert "weights would be trained" in shown
    assert not output.exists()


def test_settings_come_from_a_file_and_options_win(
    run, small_release: Path, tmp_path: Path
) -> None:
    _torch()
    file = tmp_path / "train.yaml"
    file.write_text(
        f"dataset: {small_release}\nmodel: {{name: ngram, embedding_dim: 32}}\n"
        "loss: {temperature: 0.2}\nnum_steps: 9\nbatch_size: 16\n",
        encoding="utf-8",
    )
    output = tmp_path / "model"
    code, _, _ = run("train", "--config", file, "--steps", 3, "--output", output)
    assert code == 0
    config = json.loads((output / "train_config.json").read_text(encoding="utf-8"))
    assert config["num_steps"] == 3
    assert config["loss"]["temperature"] == 0.2
    assert config["model"]["embedding_dim"] == 32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("dataset: x\nnum_step: 3\n", "line 2, `num_step`: unknown key; did you mean `num_steps`?"),
        ("dataset: x\nloss: {temperature: -1}\n", "line 2, `loss.temperature`: must be greater"),
        ("- 1\n", "it needs `key: value` lines"),
        ("dataset: [\n", "line 2, column 1: not YAML"),
        ("dataset: x\nnum_steps: 1\nnum_epochs: 1\n", "give num_steps or num_epochs, not both"),
    ],
)
def test_a_mistake_in_the_file_names_file_and_field(
    run, content: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "train.yaml"
    file.write_text(content, encoding="utf-8")
    code, _, complaint = run("train", "--config", file, "--output", tmp_path / "model")
    assert code == 1
    assert complaint.startswith(f"error: {file}: ") and message in complaint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "absent/one/two"), "no such directory"),
        (("--dataset", "x", "--languages", "xx"), "not among the 93 languages"),
        (("--dataset", "x", "--seed", 2**63), "--seed 9223372036854775808: must be less"),
        (("--dataset", "x", "--steps", "0"), "--steps 0: a training takes 1 step"),
        (("--dataset", "x", "--steps", "3", "--epochs", "1"), "give --steps or --epochs"),
        (("--dataset", "x", "--temperature", "inf"), "--temperature inf: must be a finite number"),
        (("--dataset", "x", "--learning-rate", "1e38"), "--learning-rate 1e+38: must be 1e+30"),
        (("--dataset", "x", "--languages", ","), "no language is named. Give codes"),
        (("--dataset", "x", "--batch-size", "1"), "--batch-size 1: must be 2 or more"),
        (("--dataset", "x@0.1.0", "--revision", "v0.1.0"), "the version is already given after @"),
        ((), "--dataset: is missing"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    run, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    code, _, complaint = run("train", *arguments, "--output", tmp_path)
    assert code == 1
    assert complaint.startswith("error: ") and message in complaint
    assert len(complaint.splitlines()) == 1


def test_no_model_there_is_said(run, small_release: Path, tmp_path: Path) -> None:
    _torch()
    code, _, complaint = run(
        *("evaluate", "--dataset", small_release, "--model", tmp_path / "absent"),
        *("--output", tmp_path),
    )
    assert code == 1
    assert "absent: no such directory" in complaint


@pytest.mark.parametrize("revision", ["0.2.0", "v0.2.0", "main", "9.9.9"])
def test_another_version_than_asked_for_is_refused(
    run, revision: str, small_release: Path, tmp_path: Path
) -> None:
    for named in (
        ("--dataset", small_release, "--revision", revision),
        ("--dataset", f"{small_release}@{revision}"),
    ):
        code, _, complaint = run("train", *named, "--output", tmp_path / "model", "--steps", 1)
        assert code == 1
        assert revision.removeprefix("v") in complaint.splitlines()[-1]
        assert not (tmp_path / "model").exists()


def test_a_file_in_the_way_is_named_before_the_work(
    run, small_release: Path, tmp_path: Path
) -> None:
    _torch()
    file = tmp_path / "file"
    file.write_text("x")
    code, _, complaint = run("train", "--dataset", small_release, "--output", file, "--steps", 1)
    assert code == 1
    assert complaint.splitlines()[-1].startswith(f"error: {file}")
    assert "Choose another location" in complaint and "step=" not in complaint
