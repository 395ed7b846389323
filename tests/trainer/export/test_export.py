"""An export is whole or absent, and is the model that was trained."""

import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.export.conftest import Run
from trainer.encoders.dual import DualEncoder
from trainer.encoders.encoder import Encoder
from trainer.encoders.ngram import make_ngram_encoder
from trainer.export.export import check_place
from trainer.export.probe import probe_items, what_is_wrong
from trainer.export.record import RECORD_NAME, ExportError, check_export


def files(directory: Path) -> dict[str, bytes]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def test_the_export_gives_the_trained_vectors_and_stands_beside_the_log(run: Run) -> None:
    record = check_export(run.output)
    assert record.data == "shapes@0.1.0"
    assert (run.output / "log.csv").is_file() and "log.csv" not in record.files
    assert not list(run.output.glob(".*"))
    reloaded = run.probe.embed(DualEncoder.load(run.output))
    np.testing.assert_allclose(reloaded, run.probe.embed(run.encoder), atol=1e-6)
    assert np.abs(reloaded - run.probe.before_PD).max() > 1e-3


def test_sentence_transformers_reads_it_and_gives_the_same_vectors(run: Run) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(run.output), device="cpu", trust_remote_code=True)
    texts = [item for item in run.probe.items if item.modality == "T"]
    images = [item for item in run.probe.items if item.modality == "I"]
    inputs = [item.text for item in texts]
    inputs += [run.probe.pictures.picture(item.image) for item in images if item.image]
    expected = dict(zip(run.probe.items, run.probe.embed(run.encoder), strict=True))
    found_PD = model.encode(inputs)
    for item, vector_D in zip([*texts, *images], found_PD, strict=True):
        assert float(vector_D @ expected[item]) > 0.99999


def test_no_published_file_names_a_local_path(run: Run) -> None:
    release = str(run.corpus.version.directory)
    for name, content in files(run.output).items():
        if name in check_export(run.output).files or name == RECORD_NAME:
            for path in (release, str(run.output), str(Path.home())):
                assert path.encode() not in content, name
    config = json.loads((run.output / "train_config.json").read_text())
    assert (config["dataset"], config["batch_size"]) == ("shapes@0.1.0", 16)


def test_an_export_that_gives_the_base_vectors_is_given_up_loudly(run: Run, tmp_path: Path) -> None:
    untrained = make_ngram_encoder(run.result.config.model)

    class Forgetful(DualEncoder):
        def save(self, directory: Path) -> None:
            untrained.save(directory)

    encoder = copy.deepcopy(run.encoder)
    encoder.__class__ = Forgetful
    forgetful = Run(run.corpus, encoder, run.probe, run.result, run.output)
    with pytest.raises(ExportError, match=r"vectors of the untrained model.*Check --tune"):
        forgetful.export(tmp_path / "model")
    assert files(tmp_path) == {}


def test_training_that_moved_nothing_is_given_up(run: Run, tmp_path: Path) -> None:
    probe = type(run.probe)(run.probe.items, run.probe.pictures, run.probe.embed(run.encoder))
    still = Run(run.corpus, run.encoder, probe, run.result, run.output)
    with pytest.raises(ExportError, match="training moved no vector"):
        still.export(tmp_path / "model")
    untrained = copy.copy(run.result)
    untrained.num_steps = 0
    Run(run.corpus, run.encoder, probe, untrained, run.output).export(tmp_path / "model")
    check_export(tmp_path / "model")


def test_a_damaged_weight_is_found_when_the_export_is_read_again(run: Run, tmp_path: Path) -> None:
    def load(directory: Path) -> Encoder:
        encoder = DualEncoder.load(directory)
        with torch.no_grad():
            encoder.model.text_head.linear.weight[0] += 1.0
        return encoder

    with pytest.raises(ExportError, match=r"other vectors \(cosine 0\.\d+, not 0\.99999\)"):
        run.export(tmp_path / "model", load=load)
    assert files(tmp_path) == {}


def test_a_new_export_replaces_the_old_one_and_nothing_else(run: Run, exported: Path) -> None:
    record = check_export(exported)
    old = exported / "adapter" / "old.bin"
    old.parent.mkdir()
    old.write_bytes(b"of the earlier export")
    listed = {**record.files, "adapter/old.bin": record.files["README.md"]}
    earlier = record.model_copy(update={"files": listed})
    (exported / RECORD_NAME).write_bytes(earlier.to_bytes())
    (exported / "notes.txt").write_text("mine")
    log = (exported / "log.csv").read_bytes()
    run.export(exported)
    check_export(exported)
    assert not old.exists()
    assert (exported / "notes.txt").read_text() == "mine"
    assert (exported / "log.csv").read_bytes() == log


def test_a_directory_with_something_else_is_refused_before_and_after_training(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("my project")
    with pytest.raises(ExportError, match=r"holds README\.md of something else.*--output"):
        check_place(tmp_path)
    with pytest.raises(ExportError, match=r"holds README\.md of something else"):
        run.export(tmp_path)
    assert files(tmp_path) == {"README.md": b"my project"}
    check_place(tmp_path / "absent")
    check_place(run.output)


def test_a_kill_while_files_are_put_into_place_leaves_a_record_that_says_half(
    run: Run, exported: Path, tmp_path: Path
) -> None:
    script = f"""
import os, signal
from pathlib import Path
from trainer.export import export as module
from trainer.export.record import check_export
directory = Path({str(exported)!r})
record = check_export(directory)
half = directory / ".export.half"
half.mkdir()
for name in record.files:
    (half / name).write_bytes((directory / name).read_bytes())
module._sync_folders = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
module._put_into_place(half, directory, record)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path.cwd())
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(ExportError, match="incomplete: the export was stopped"):
        check_export(exported)
    check_place(exported)
    run.export(exported)
    check_export(exported)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "dual.py").unlink(), r"incomplete: dual\.py is missing"),
        (lambda path: (path / RECORD_NAME).unlink(), r"no export\.json there"),
        (lambda path: (path / RECORD_NAME).write_bytes(b"{"), r"export\.json is damaged"),
        (lambda path: os.truncate(path / "model.safetensors", 99), r"model\.safetensors is not as"),
        (lambda path: (path / "README.md").unlink(), r"incomplete: README\.md is missing"),
    ],
)
def test_an_export_that_is_not_whole_is_named(exported: Path, damage, message: str) -> None:
    damage(exported)
    with pytest.raises(ExportError, match=message) as caught:
        check_export(exported)
    assert "\n" not in str(caught.value) and str(exported) in str(caught.value)


def test_a_record_that_names_files_outside_is_damaged(exported: Path) -> None:
    record = check_export(exported)
    entry = record.files["README.md"]
    for name in ("../secret", "/etc/passwd", "a//b", "a/../../b", "a\\b", "a\nb", ""):
        hostile = record.model_copy(update={"files": {name: entry}})
        (exported / RECORD_NAME).write_bytes(hostile.to_bytes())
        with pytest.raises(ExportError, match="damaged"):
            check_export(exported)


def test_a_link_out_of_the_directory_is_no_file_of_it(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes((exported / "dual.py").read_bytes())
    (exported / "dual.py").unlink()
    (exported / "dual.py").symlink_to(tmp_path / "secret")
    with pytest.raises(ExportError, match=r"dual\.py is missing"):
        check_export(exported)


def test_probe_items_are_a_few_of_each_kind_the_model_takes(run: Run) -> None:
    items = probe_items(run.corpus.rows, run.encoder)
    kinds = [item.modality for item in items]
    assert sorted(kinds) == ["I"] * 3 + ["T"] * 3
    assert len(set(items)) == 6


def test_what_is_wrong_is_told_apart() -> None:
    generator = np.random.default_rng(0)

    def unit(values_PD: np.ndarray) -> np.ndarray:
        return (values_PD / np.linalg.norm(values_PD, axis=1, keepdims=True)).astype(np.float32)

    before_PD = unit(generator.normal(size=(6, 8)))
    trained_PD = unit(before_PD + 0.3 * generator.normal(size=(6, 8)))
    slightly_PD = unit(before_PD + 1e-7 * generator.normal(size=(6, 8)))

    def check(trained: np.ndarray, reloaded: np.ndarray, is_trained: bool = True) -> str | None:
        return what_is_wrong(
            before_PD, trained, reloaded, min_cosine=0.99999, is_trained=is_trained
        )

    assert check(trained_PD, trained_PD) is None
    assert check(slightly_PD, before_PD) is None  # too small a step to tell from rounding
    assert "untrained model" in (check(trained_PD, before_PD) or "")
    assert "moved no vector" in (check(before_PD, before_PD) or "")
    assert check(before_PD, before_PD, is_trained=False) is None
    assert "other vectors" in (check(trained_PD, trained_PD[::-1].copy()) or "")
    assert "not finite" in (check(trained_PD, trained_PD * np.nan) or "")
    assert "vectors of 4 numbers, not 8" in (check(trained_PD, trained_PD[:, :4]) or "")
