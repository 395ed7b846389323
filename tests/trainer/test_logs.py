"""Lines, rows, events and curves of a run, and what is left of them when it is resumed."""

import csv
import logging
import math
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainer.logs import (
    COLUMNS,
    CURVES_NAME,
    EVENTS_NAME,
    LOG_NAME,
    LogError,
    RunLog,
    draw_curves,
    read_curves,
    running_mean,
)


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / LOG_NAME).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events(directory: Path) -> list[Any]:
    """Every TensorBoard event, read by the format: length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((directory / EVENTS_NAME).iterdir(), key=lambda path: path.stat().st_mtime):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "trainer.logs"]


def take_steps(log: RunLog, first: int, last: int) -> None:
    for step in range(first, last + 1):
        log.step(step, loss=1 / step, learning_rate=0.1 * step)


def test_every_step_is_a_row_with_the_same_columns_and_the_loss_reads_back_exactly(
    tmp_path: Path,
) -> None:
    loss = float(np.float32(5.123456789))
    with RunLog(tmp_path) as log:
        log.step(1, loss=loss, learning_rate=1e-5, gradient_norm=None, queries_per_s=31.25)
        log.measure(1, "recall@10", 0.1234)
        log.step(2, loss=math.inf)
    first, measured, second = rows(tmp_path)
    assert tuple(first) == COLUMNS
    assert np.float32(first["loss"]) == np.float32(loss)
    assert (first["gradient_norm"], first["queries_per_s"], first["metric"]) == ("", "31.25", "")
    assert (measured["step"], measured["metric"], measured["value"]) == ("1", "recall@10", "0.1234")
    assert (measured["loss"], second["loss"]) == ("", "inf")


def test_a_resumed_run_cuts_off_the_rows_of_steps_that_are_taken_again(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        take_steps(log, 1, 9)
        log.measure(4, "recall@10", 0.4)
        log.measure(8, "recall@10", 0.8)
    before = rows(tmp_path)
    with RunLog(tmp_path, start_step=6) as log:
        log.measure(4, "recall@10", 0.4)
        take_steps(log, 7, 9)
        log.measure(8, "recall@10", 0.8)
    after = rows(tmp_path)
    assert [row["step"] for row in after] == ["1", "2", "3", "4", "5", "6", "4", "7", "8", "9", "8"]
    assert sorted(map(str, after)) == sorted(map(str, before))


def test_a_run_from_the_start_replaces_the_log_of_the_one_before(tmp_path: Path) -> None:
    for last in (5, 2):
        with RunLog(tmp_path) as log:
            log.measure(0, "recall@10", 0.03)
            take_steps(log, 1, last)
    assert [row["step"] for row in rows(tmp_path)] == ["0", "1", "2"]


def test_a_killed_run_has_every_step_on_disk_and_its_half_row_is_cut_off(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom trainer.logs import RunLog\n"
        "log = RunLog(Path(sys.argv[1]))\n"
        "for step in range(1, 4): log.step(step, loss=0.5)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3"]
    with (tmp_path / LOG_NAME).open("a") as file:
        file.write("4,0.2")  # what a full disk or a lost machine may leave
    with RunLog(tmp_path, start_step=4) as log:
        log.step(5, loss=0.25)
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3", "5"]


@pytest.mark.parametrize("start_step", [0, 3])
def test_a_foreign_file_is_not_overwritten(tmp_path: Path, start_step: int) -> None:
    (tmp_path / LOG_NAME).write_text("mine,alone\n1,2\n")
    with pytest.raises(LogError, match=r"log\.csv: its columns .* Move it away"):
        RunLog(tmp_path, start_step)
    assert (tmp_path / LOG_NAME).read_text() == "mine,alone\n1,2\n"


def test_a_step_twice_or_an_unknown_value_is_refused(tmp_path: Path) -> None:
    with RunLog(tmp_path, start_step=3) as log:
        with pytest.raises(ValueError, match="step must be above 3; got 3"):
            log.step(3, loss=1.0)
        with pytest.raises(ValueError, match="got scale"):
            log.step(4, loss=1.0, scale=50.0)
        with pytest.raises(ValueError, match="one printable line"):
            log.measure(4, "recall\n5,1", 0.5)
    assert rows(tmp_path) == []


def test_progress_lines_have_fixed_fields_and_the_mean_loss_since_the_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    with RunLog(None, num_steps=5, line_steps=2) as log:
        for step in range(1, 6):
            log.step(step, tokens_per_s=2500.4, loss=float(step), learning_rate=2e-5)
        log.measure(5, "recall@10", 0.37125)
    assert lines(caplog) == [
        "step=2/5 loss=1.5000 learning_rate=2e-05 tokens_per_s=2500",
        "step=4/5 loss=3.5000 learning_rate=2e-05 tokens_per_s=2500",
        "step=5/5 loss=5.0000 learning_rate=2e-05 tokens_per_s=2500",
        "step=5/5 recall@10=0.3713",
    ]


def test_tensorboard_gets_every_value_and_hides_the_steps_taken_again(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        take_steps(log, 1, 3)
    with RunLog(tmp_path, start_step=2) as log:
        take_steps(log, 3, 3)
        log.measure(3, "recall@10", 0.5)
    found = events(tmp_path)
    scalars = [(e.step, v.tag, v.simple_value) for e in found for v in e.summary.value]
    assert [step for step, tag, _ in scalars if tag == "train/loss"] == [1, 2, 3, 3]
    assert scalars[-1][0] == 3 and scalars[-1][2] == 0.5
    assert scalars[-1][1].startswith("measured/recall")
    restarts = [event.step for event in found if event.session_log.status == 1]
    assert restarts == [0, 3]  # TensorBoard purges what came before with such a step or a later


def test_without_tensorboardx_there_are_no_events_and_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with RunLog(tmp_path) as log:
        log.step(1, loss=1.0)
    assert len([line for line in lines(caplog) if "no TensorBoard events" in line]) == 1
    assert not (tmp_path / EVENTS_NAME).exists()
    assert len(rows(tmp_path)) == 1


def test_curves_are_drawn_at_the_end_also_of_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), RunLog(tmp_path) as log:
        take_steps(log, 1, 50)
        log.step(51, loss=math.nan)
        log.measure(50, "recall@10 of $x_{", 0.5)  # no formula, whatever it looks like
        raise RuntimeError("out of memory")
    with Image.open(tmp_path / CURVES_NAME) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert len(picture.convert("L").getcolors(1 << 16) or []) > 10


def test_a_resumed_run_draws_its_earlier_steps_too(tmp_path: Path) -> None:
    for start, last in ((0, 4), (4, 8)):
        with RunLog(tmp_path, start) as log:
            take_steps(log, start + 1, last)
    curves = read_curves(tmp_path / LOG_NAME)
    assert curves["loss"].steps == [*range(1, 9)]
    assert set(curves) == {"loss", "learning_rate"}
    draw_curves(tmp_path / LOG_NAME, tmp_path / "again.png")
    assert (tmp_path / "again.png").stat().st_size > 1000


def test_a_picture_that_cannot_be_written_does_not_fail_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / CURVES_NAME).mkdir()
    with RunLog(tmp_path) as log:
        log.step(1, loss=1.0)
    assert any("curves.png is not drawn" in line for line in lines(caplog))


def test_a_run_without_a_directory_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with RunLog(None) as log:
        log.step(1, loss=1.0)
        log.measure(1, "recall@10", 0.5)
    assert [*tmp_path.iterdir()] == []


def test_running_mean_is_the_mean_of_a_window_without_what_is_not_finite() -> None:
    values = [1.0, 3.0, math.nan, 5.0, 7.0]
    assert running_mean(values, share=0.4) == [1.0, 2.0, 3.0, 5.0, 6.0]
    assert running_mean([2.0], share=0.02) == [2.0]
    assert math.isnan(running_mean([math.nan])[0])
