import csv
import logging
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: extra `train`")

from tests.trainer import train_tiny  # noqa: E402
from tests.trainer.tiny_encoder import TinyEncoder  # noqa: E402
from trainer.config import LossConfig, TrainConfig  # noqa: E402
from trainer.data.corpus import Corpus  # noqa: E402
from trainer.embed import embed  # noqa: E402
from trainer.encoders.encoder import Encoder  # noqa: E402
from trainer.errors import DivergedError, NoRowsError, ResumeError  # noqa: E402
from trainer.train import train  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture
def corpus(train_corpus: Corpus) -> Corpus:
    return train_corpus


def _config(**changes: object) -> TrainConfig:
    return TrainConfig.model_validate(
        {"dataset": "shapes@0.1.0", "num_steps": 12, "batch_size": 16, "seed": 1} | changes
    )


def _in_a_process(release: Path, output: Path, *options: str, ranks: int = 1) -> int:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    words = [*(launcher if ranks > 1 else []), "-m", "tests.trainer.train_tiny"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words, str(release), str(output), *options],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode > 0:
        raise AssertionError(done.stderr[-3000:])
    return done.returncode


def _here(release: Path, output: Path, *options: str) -> None:
    """The same in this process, which has imported everything already."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train_tiny.main([str(release), str(output), *options])
    finally:
        torch.set_num_threads(num_threads)


def _logged_losses(output: Path) -> list[float]:
    with (output / "log.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


def test_all_ten_cells_train_through_one_path_and_the_loss_falls(corpus: Corpus) -> None:
    encoder = TinyEncoder()
    result = train(_config(num_steps=120, batching="cell"), corpus, encoder)
    assert len({row.cell for row in corpus.rows}) == 10
    assert result.num_rows == len(corpus.rows)
    assert result.note is None
    assert sum(result.losses[-20:]) < 0.8 * sum(result.losses[:20])


def test_eight_rows_are_learnt_by_heart(corpus: Corpus) -> None:
    rows = {row.positive: row for row in corpus.rows if row.modality == "T->I"}
    eight = [*rows.values()][:8]
    few = Corpus(corpus.version, "train", eight, corpus.images, corpus.groups)
    encoder = TinyEncoder()
    train(_config(num_steps=150, batch_size=8, loss=LossConfig(temperature=0.05)), few, encoder)
    query_BD = embed(encoder, [row.query for row in eight], few.images)
    positive_BD = embed(encoder, [row.positive for row in eight], few.images)
    assert (query_BD @ positive_BD.T).argmax(1).tolist() == list(range(8))


@pytest.mark.parametrize("cell", ["vqa", "I->I", "IT->IT", "classification IT->T"])
def test_any_single_cell_trains(corpus: Corpus, cell: str) -> None:
    result = train(_config(cells=(cell,), num_steps=3), corpus, TinyEncoder())
    assert len(result.losses) == 3
    assert all(math.isfinite(loss) for loss in result.losses)


def test_small_batches_by_concept_have_more_concepts_rather_than_texts_of_each(
    corpus: Corpus,
) -> None:
    """Few concepts are too few negatives: see `trainer.resolve`."""
    rows = corpus.rows * (1024 // len(corpus.rows) + 1)
    many = Corpus(corpus.version, "train", rows, corpus.images, corpus.groups)
    settings = {"batching": "concept", "num_steps": 0}
    found = {
        size: train(
            _config(batch_size=size, **settings), many, TinyEncoder()
        ).config.texts_per_concept
        for size in (16, 256, 600, 1024)
    }
    assert found == {16: 1, 256: 1, 600: 2, 1024: 4}
    given = _config(batch_size=16, texts_per_concept=3, **settings)
    assert train(given, many, TinyEncoder()).config.texts_per_concept == 3


def test_the_same_seed_gives_the_same_weights(corpus: Corpus) -> None:
    weights = []
    for seed in (1, 1, 2):
        encoder = TinyEncoder(dropout=0.2)
        train(_config(seed=seed), corpus, encoder)
        weights.append(torch.cat([each.flatten() for each in encoder.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_chunks_of_any_size_train_to_the_same_weights(corpus: Corpus) -> None:
    weights = []
    for max_chunk_tokens in (None, 64):
        encoder = TinyEncoder().double()
        _prepare_in_double(encoder)
        train(_config(max_chunk_tokens=max_chunk_tokens, num_steps=6), corpus, encoder)
        weights.append(torch.cat([each.flatten() for each in encoder.parameters()]))
    assert (weights[0] - weights[1]).norm() / weights[0].norm() < 1e-9


def _prepare_in_double(encoder: TinyEncoder) -> None:
    linear = encoder.pixels
    linear.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    small_release: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ("--dropout", "0.3", "--tokens", "200")
    _here(small_release, whole, *options)
    assert _in_a_process(small_release, killed, *options, "--kill-at", "12") == -9
    assert not (killed / "result.pt").exists()
    _here(small_release, killed, *options)
    assert _logged_losses(killed) == _logged_losses(whole)
    assert len(_logged_losses(whole)) == 24
    found, wanted = (torch.load(each / "result.pt", weights_only=True) for each in (killed, whole))
    assert len(found["losses"]) == 14, "steps 11 to 24 ran after the kill"
    for name, tensor in wanted["weights"].items():
        assert torch.equal(found["weights"][name], tensor), name


def test_two_ranks_train_as_one(small_release: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    _here(small_release, one, "--batching", "cell")
    assert _in_a_process(small_release, two, "--batching", "cell", ranks=2) == 0
    assert _logged_losses(two) == pytest.approx(_logged_losses(one), rel=1e-4)
    found, wanted = (torch.load(each / "result.pt", weights_only=True) for each in (two, one))
    for name, tensor in wanted["weights"].items():
        assert torch.allclose(found["weights"][name], tensor, atol=1e-4), name


def test_a_run_with_other_settings_is_not_gone_on_from(corpus: Corpus, tmp_path: Path) -> None:
    train(_config(num_steps=4, save_steps=2), corpus, TinyEncoder(), output=tmp_path)
    with pytest.raises(ResumeError, match=r"learning_rate 0\.01 there, 0\.5 now.*--fresh"):
        train(_config(num_steps=4, learning_rate=0.5), corpus, TinyEncoder(), output=tmp_path)
    fresh = _config(num_steps=4, learning_rate=0.5)
    result = train(fresh, corpus, TinyEncoder(), output=tmp_path, fresh=True)
    assert len(result.losses) == 4


def test_a_damaged_checkpoint_is_named(corpus: Corpus, tmp_path: Path) -> None:
    train(_config(num_steps=4, save_steps=2), corpus, TinyEncoder(), output=tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(ResumeError, match=newest.name):
        train(_config(num_steps=4), corpus, TinyEncoder(), output=tmp_path)


def test_a_run_from_other_weights_is_not_gone_on_from(corpus: Corpus, tmp_path: Path) -> None:
    """A base that was trained in the meantime: a checkpoint has no weights that are frozen."""
    config = _config(num_steps=4, save_steps=2)
    train(config, corpus, TinyEncoder(), output=tmp_path)
    retrained = TinyEncoder()
    with torch.no_grad():
        next(retrained.parameters()).view(-1)[0] += 1e-3
    with pytest.raises(ResumeError, match=r"first weights \w+ there, \w+ now.*--fresh"):
        train(config, corpus, retrained, output=tmp_path)


def test_only_the_newest_checkpoints_stay(corpus: Corpus, tmp_path: Path) -> None:
    config = _config(num_steps=8, save_steps=1, keep_checkpoints=3)
    train(config, corpus, TinyEncoder(), output=tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == [f"step-{step:08d}.pt" for step in (6, 7, 8)]


def test_the_best_weights_are_kept_and_given_back(corpus: Corpus, tmp_path: Path) -> None:
    seen: list[tuple[float, torch.Tensor]] = []
    scores = iter([0.2, 0.9, 0.4])

    def measure(encoder: Encoder) -> float:
        assert not encoder.training
        seen.append((score := next(scores), next(encoder.parameters()).detach().clone()))
        return score

    encoder = TinyEncoder()
    result = train(
        _config(num_steps=6, eval_steps=2), corpus, encoder, output=tmp_path, measure=measure
    )
    assert (result.best_step, result.best_metric) == (4, 0.9)
    assert torch.equal(next(encoder.parameters()), seen[1][1])


@pytest.mark.parametrize("learning_rate", [1e30, 1e38])
def test_a_learning_rate_beyond_reason_ends_in_one_line(
    corpus: Corpus, tmp_path: Path, learning_rate: float
) -> None:
    config = _config(num_steps=30, save_steps=1).model_copy(update={"learning_rate": learning_rate})
    with pytest.raises(DivergedError, match=r"at step \d+\. Lower --learning-rate"):
        train(config, corpus, TinyEncoder(), output=tmp_path)


def test_the_last_good_state_is_kept_where_the_loss_becomes_nan(
    corpus: Corpus, tmp_path: Path
) -> None:
    class Breaking(TinyEncoder):
        num_steps = 0

        def images_once(self, batch):
            self.num_steps += 1
            return super().images_once(batch)

        def forward(self, batch):
            return super().forward(batch) * (math.nan if self.num_steps > 5 else 1)

    config = _config(num_steps=10, save_steps=2)
    with pytest.raises(DivergedError, match=r"loss is nan at step 6.*step-00000004\.pt"):
        train(config, corpus, Breaking(), output=tmp_path)
    result = train(config, corpus, TinyEncoder(), output=tmp_path)
    assert len(result.losses) == 6, "goes on after step 4"


def test_only_question_rows_train(corpus: Corpus) -> None:
    rows = [row for row in corpus.rows if row.task_type == "vqa"]
    questions = Corpus(corpus.version, "train", rows, corpus.images, corpus.groups)
    result = train(_config(num_steps=2), questions, TinyEncoder())
    assert result.num_rows == len(rows)


def test_no_row_left_says_what_there_is(corpus: Corpus) -> None:
    with pytest.raises(NoRowsError, match=r"no row in fr\. It has .*retrieval T->I.* in ar, de"):
        train(_config(languages=("fr",)), corpus, TinyEncoder())


def test_a_batch_larger_than_the_data_is_said(
    corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    train(_config(batch_size=100_000, num_steps=1), corpus, TinyEncoder())
    assert f"a batch of 100000 is larger than the data: it has {len(corpus.rows)} rows" in (
        caplog.text
    )


def test_a_step_that_does_not_fit_is_taken_again_in_chunks(
    corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")

    class Narrow(TinyEncoder):
        def forward(self, batch):
            if sum(each.num_tokens for each in batch) > 300:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(batch)

    plain, narrow = TinyEncoder(), Narrow()
    config = _config(num_steps=4)
    wanted = train(config, corpus, plain).losses
    found = train(config, corpus, narrow).losses
    assert found == pytest.approx(wanted, rel=1e-4)
    assert "does not fit into memory: chunks of" in caplog.text
