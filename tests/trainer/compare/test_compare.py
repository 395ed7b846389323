import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.tiny_encoder import TinyEncoder
from trainer.cli import main
from trainer.compare.arms import Arm, Contrast, Plan
from trainer.compare.config import CompareConfig
from trainer.compare.finished_runs import FinishedRuns
from trainer.compare.held_out import SharedSplit
from trainer.compare.report import describe_comparison, recall_table, sentence, sentences
from trainer.compare.run import Comparison, compare, run_plan
from trainer.compare.statistics import Difference
from trainer.config import EvaluateConfig, ModelConfig, TrainConfig
from trainer.data.corpus import load_corpus
from trainer.encoders.encoder import Encoder
from trainer.encoders.ngram import make_ngram_encoder


class Maker:
    """Makes tiny encoders, and counts them."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __call__(self, config: ModelConfig, seed: int) -> Encoder:
        self.seeds.append(seed)
        return TinyEncoder(seed)


def _config(*versions: Path, **fields: object) -> CompareConfig:
    return CompareConfig.model_validate(
        {
            "train": TrainConfig(dataset=str(versions[0]), num_steps=4, batch_size=16),
            "versions": tuple(map(str, versions)),
            "evaluate": EvaluateConfig(num_resamples=20),
            "seeds": (0, 1, 2),
            **fields,
        }
    )


@pytest.fixture(scope="module")
def two_versions(small_release: Path, larger_release: Path) -> tuple[CompareConfig, Comparison]:
    config = _config(small_release, larger_release)
    return config, compare(config, Maker())


def test_arms_share_first_weights_steps_and_questions(
    two_versions: tuple[CompareConfig, Comparison],
) -> None:
    _, comparison = two_versions
    assert [*comparison.arms] == ["untrained", "0.1.0", "0.2.0"]
    assert [*comparison.differences] == [("0.2.0", "0.1.0")]
    for name, result in comparison.arms.items():
        assert len(result.runs) == 3
        assert {run.num_steps for run in result.runs} == {0 if name == "untrained" else 4}
        for run in result.runs:
            counts_GU = result.runs[0].answers.tally.counts_GU
            assert run.answers.tally.counts_GU.tolist() == counts_GU.tolist()
    found = comparison.differences["0.2.0", "0.1.0"]
    means = [comparison.arms[name].mean for name in ("0.2.0", "0.1.0")]
    assert found.mean == pytest.approx(means[0] - means[1])
    assert found.num_seeds == 3 and found.num_units == comparison.yardstick.num_concepts


def test_the_same_comparison_again_gives_the_same_figures(
    two_versions: tuple[CompareConfig, Comparison],
) -> None:
    config, comparison = two_versions
    again = compare(config, Maker())
    for name, result in comparison.arms.items():
        assert again.arms[name].mean_by_seed == result.mean_by_seed


def test_an_encoder_that_is_restarted_gives_the_figures_of_new_ones(
    small_release: Path, larger_release: Path
) -> None:
    made: list[int] = []

    def make(config: ModelConfig, seed: int) -> Encoder:
        made.append(seed)
        return make_ngram_encoder(config, seed)

    def make_anew(config: ModelConfig, seed: int) -> Encoder:
        encoder = make_ngram_encoder(config, seed)
        encoder.restart = lambda seed: False
        return encoder

    config = _config(small_release, larger_release)
    found, wanted = compare(config, make), compare(config, make_anew)
    assert made == [0], "one for all arms and seeds"
    for name, result in wanted.arms.items():
        assert found.arms[name].mean_by_seed == result.mean_by_seed


def test_the_report_holds_what_the_sentences_and_the_table_say(
    two_versions: tuple[CompareConfig, Comparison],
) -> None:
    config, comparison = two_versions
    report = json.loads(json.dumps(describe_comparison(comparison, config)))
    assert report["versions"] == ["shapes@0.1.0", "shapes@0.2.0"]
    assert report["seeds"] == [0, 1, 2] and report["stratum"] == "language"
    said = [*sentences(report)]
    assert said[0] == report["differences"][0]["sentence"]
    assert "4 steps of 16 rows; not equal: " in said[1]
    assert any("are left out" in note for note in said[2:])
    strata = report["num_questions_per_language"]
    assert recall_table(report).row_count == 6 + len(strata)
    for arm in report["arms"].values():
        assert set(arm["per_language"]) == set(strata)
        assert arm["mean"] == pytest.approx(np.mean([*arm["per_language"].values()]))
        assert arm["seed_interval"][0] <= arm["mean"] <= arm["seed_interval"][1]


def test_a_comparison_that_was_finished_trains_nothing(small_release: Path, tmp_path: Path) -> None:
    config, maker = _config(small_release), Maker()
    first = compare(config, maker, FinishedRuns(tmp_path))
    assert maker.seeds == [0, 1, 2] * 3
    maker.seeds.clear()
    again = compare(config, maker, FinishedRuns(tmp_path))
    assert maker.seeds == [0], "one, which says what the model takes"
    assert describe_comparison(again, config) | {"seconds": {}} == describe_comparison(
        first, config
    ) | {"seconds": {}}


def test_a_stopped_comparison_goes_on_where_it_stood(small_release: Path, tmp_path: Path) -> None:
    config = _config(small_release)
    whole = compare(config, Maker())

    class Stopping(Maker):
        def __call__(self, config: ModelConfig, seed: int) -> Encoder:
            if len(self.seeds) == 5:
                raise KeyboardInterrupt
            return super().__call__(config, seed)

    with pytest.raises(KeyboardInterrupt):
        compare(config, Stopping(), FinishedRuns(tmp_path))
    assert len([*tmp_path.iterdir()]) == 5
    maker = Maker()
    rest = compare(config, maker, FinishedRuns(tmp_path))
    assert len(maker.seeds) == 1 + 4
    for name, result in whole.arms.items():
        assert rest.arms[name].mean_by_seed == result.mean_by_seed


@pytest.mark.parametrize(
    "change",
    [
        {"num_steps": 5},
        {"learning_rate": 0.5},
        {"batch_size": 8},
        {"languages": ("en", "ja")},
    ],
)
def test_runs_of_other_settings_are_not_taken(
    small_release: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    finished = FinishedRuns(tmp_path)
    split = SharedSplit(
        [load_corpus(str(small_release), "train")], load_corpus(str(small_release), "validation")
    )
    config = _config(small_release)
    arm = Arm("any", split.train[0])
    key = finished.key(config, arm, 0, split, config.train.num_steps, "model")
    assert key == FinishedRuns(tmp_path).key(config, arm, 0, split, config.train.num_steps, "model")
    assert key != finished.key(config, arm, 1, split, config.train.num_steps, "model")
    asked = replace(split.held_out, rows=split.held_out.rows[1:])
    fewer = SharedSplit(split.train, asked)
    assert key != finished.key(config, arm, 0, fewer, config.train.num_steps, "model")
    if "languages" in change:
        rows = [row for row in split.train[0].rows if row.language in change["languages"]]
        arm = Arm("any", type(split.train[0])(split.train[0].version, "train", rows))
    else:
        config = config.model_copy(update={"train": config.train.model_copy(update=change)})
    assert key != finished.key(config, arm, 0, split, config.train.num_steps, "model")


def test_runs_of_another_model_of_the_same_name_are_not_taken(
    small_release: Path, tmp_path: Path
) -> None:
    """A directory that was trained on, or a recipe that has changed."""

    class Retrained(Maker):
        def __call__(self, config: ModelConfig, seed: int) -> Encoder:
            encoder = super().__call__(config, seed)
            with torch.no_grad():
                next(encoder.parameters()).view(-1)[0] += 1e-3
            return encoder

    config = _config(small_release)
    compare(config, Maker(), FinishedRuns(tmp_path))
    retrained = Retrained()
    compare(config, retrained, FinishedRuns(tmp_path))
    assert retrained.seeds == [0, 1, 2] * 3, "each is trained again"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"tally": {"strata": ["en"]}}'])
def test_a_damaged_run_is_done_again(small_release: Path, tmp_path: Path, content: bytes) -> None:
    config = _config(small_release)
    compare(config, Maker(), FinishedRuns(tmp_path))
    damaged = sorted(tmp_path.iterdir())[0]
    damaged.write_bytes(content)
    maker = Maker()
    compare(config, maker, FinishedRuns(tmp_path))
    assert 1 <= len(maker.seeds) <= 2
    assert damaged.read_bytes() != content


def test_cells_are_a_measure_too(small_release: Path) -> None:
    config = _config(small_release, measure="cells", without=("hard_negatives",))
    comparison = compare(config, Maker())
    report = describe_comparison(comparison, config)
    assert report["stratum"] == "cell" and len(report["num_questions_per_cell"]) == 10
    assert report["num_questions"] == 240 and report["num_languages"] is None
    assert recall_table(report).row_count == 5 + 10


def test_fewer_rows_than_a_batch_are_told(small_release: Path) -> None:
    config = _config(small_release)
    train = load_corpus(str(small_release), "train")
    few = type(train)(train.version, "train", train.rows[:10], train.images, train.groups)
    comparison = run_plan(
        config,
        Plan((Arm("whole", train), Arm("few", few)), (Contrast("whole", "few"),)),
        SharedSplit([train], load_corpus(str(small_release), "validation")),
        Maker(),
    )
    assert "few: batches of 10 rows instead of 16, as it has no more rows." in comparison.notes


def _said(
    comparison: Comparison, config: CompareConfig, mean: float, half: float, **parts: float
) -> str:
    found = Difference(
        mean,
        (mean - half, mean + half),
        parts.get("seeds", 0.0) ** 2,
        parts.get("units", 0.0) ** 2,
        0.0,
        3,
        comparison.yardstick.num_concepts,
    )
    return sentence("0.2.0", "0.1.0", found, comparison, config)


def test_what_was_found_is_one_sentence(two_versions: tuple[CompareConfig, Comparison]) -> None:
    config, comparison = two_versions
    num_units, k = comparison.yardstick.num_concepts, comparison.yardstick.k
    basis = f"(3 seeds, {num_units} concepts)"
    assert _said(comparison, config, 0.031, 0.01) == (
        f"0.2.0 is better than 0.1.0 by 0.031 recall@{k}, 95 % interval 0.021 to 0.041 {basis}."
    )
    assert _said(comparison, config, -0.031, 0.01) == (
        f"0.1.0 is better than 0.2.0 by 0.031 recall@{k}, 95 % interval 0.021 to 0.041 {basis}."
    )
    unclear = _said(comparison, config, 0.004, 0.012, seeds=0.006, units=0.002)
    assert unclear.startswith(
        f"No difference was found between 0.2.0 and 0.1.0: +0.004 recall@{k}, "
        f"95 % interval -0.008 to 0.016 {basis}. To see 0.01 takes about "
    )
    num_seeds = int(unclear.split()[-2])
    assert 3 < num_seeds < 30 and unclear.endswith(" seeds.")
    clear = _said(comparison, config, 0.001, 0.002, seeds=0.0005, units=0.0005)
    assert clear.endswith("A difference of 0.01 would most likely have been seen.")
    few = _said(comparison, config, 0.004, 0.03, units=0.01)
    num_concepts = math.ceil(2 * num_units * (2.801585 * 0.01 / 0.01) ** 2)
    assert "more seeds are not enough" in few and "0.028 at least" in few
    assert few.endswith(f"It takes about {num_concepts:,} held-out concepts.")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("multilingual", "english_only", "training on all languages is better than training on "),
        ("all rows", "without vqa", "training on all rows is better than training without vqa by"),
        ("0.2.0, 50 rows", "0.1.0, 50 rows", "0.2.0, 50 rows is better than 0.1.0, 50 rows by"),
    ],
)
def test_parts_of_a_version_are_spoken_of_as_what_was_trained_on(
    two_versions: tuple[CompareConfig, Comparison], first: str, second: str, said: str
) -> None:
    config, comparison = two_versions
    found = Difference(0.05, (0.01, 0.09), 0.0, 0.0, 0.0, 3, 10)
    sentence_ = sentence(first, second, found, comparison, config)
    assert sentence_.lower().startswith(said) and sentence_[0] == sentence_[0].upper()


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str, str]]:
    """Runs `trainer compare` in this process; gives exit code, stdout and stderr."""

    def run_command(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["trainer", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        shown = capsys.readouterr()
        return left.value.code, shown.out, shown.err

    return run_command


Run = Callable[..., tuple[object, str, str]]


def test_the_command_writes_figures_and_a_picture(
    run: Run, small_release: Path, tmp_path: Path
) -> None:
    output = tmp_path / "made"
    words = (small_release, "--model", "ngram", "--steps", 10, "--batch-size", 16)
    code, shown, _ = run(*words, "--output", output)
    assert code == 0
    report = json.loads((output / "recall.json").read_text(encoding="utf-8"))
    assert [*report["arms"]] == ["untrained", "english_only", "multilingual"]
    assert [report["arms"][name]["num_steps"] for name in report["arms"]] == [0, 10, 10]
    assert report["versions"] == ["shapes@0.1.0"] and report["encoder"] == "ngram"
    assert (output / "recall.png").read_bytes().startswith(b"\x89PNG")
    assert "English only" in shown and report["differences"][0]["sentence"] in shown
    before = sorted((output / "runs").iterdir())
    times = [file.stat().st_mtime_ns for file in before]
    code, again, _ = run(*words, "--output", output)
    assert code == 0 and report["differences"][0]["sentence"] in again
    assert [file.stat().st_mtime_ns for file in sorted((output / "runs").iterdir())] == times
    assert report["seeds"] == [0, 1, 2, 3, 4] and len(before) == 3 * 5


def test_two_versions_and_a_curve_from_the_command(
    run: Run, small_release: Path, larger_release: Path, tmp_path: Path
) -> None:
    code, shown, _ = run(
        *(small_release, larger_release, "--model", "ngram", "--steps", 2, "--batch-size", 16),
        *("--sizes", "50,100", "--effect", "0.05", "--seeds", "0,1,2", "--output", tmp_path),
    )
    assert code == 0
    report = json.loads((tmp_path / "recall.json").read_text(encoding="utf-8"))
    assert len(report["arms"]) == 1 + 4 and len(report["differences"]) == 2
    assert {entry["effect"] for entry in report["differences"]} == {0.05}
    assert (tmp_path / "recall.png").read_bytes().startswith(b"\x89PNG")
    assert "0.2.0, 100 rows" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", "0,1"), "give at least 3 seeds"),
        (("--seeds", "0,1,1"), "seed 1 appears twice"),
        (("--without", "ocr"), "ocr: cannot be left out"),
        (("--sizes", "many"), "'many' is not a number of rows"),
        (("--sizes", "100k", "--model", "ngram"), "it has only 360 training rows"),
    ],
)
def test_a_mistake_is_one_line(
    run: Run, small_release: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, _, complaint = run(small_release, *arguments, "--output", tmp_path / "made")
    lines = complaint.splitlines()
    assert code == 1
    assert lines[-1].startswith("error: ") and message in lines[-1]
