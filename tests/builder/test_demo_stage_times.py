"""What `summary.json` says of the seconds, over several runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.demo.stage_times import StageTimes


@pytest.fixture
def a_run(tmp_path: Path) -> Callable[[], StageTimes]:
    """Makes what a new process would see; its clock goes on by 3, 4, 5, … seconds."""

    def make() -> StageTimes:
        return StageTimes(tmp_path / "stages.json", ticks().__next__)

    return make


def ticks() -> Iterator[float]:
    now_s = 0.0
    for step_s in range(3, 100):
        yield now_s
        now_s += step_s


def test_a_rerun_keeps_the_seconds_of_the_run_that_did_the_work(
    a_run: Callable[[], StageTimes],
) -> None:
    times = a_run()
    with times.measured("images"):
        pass
    with times.measured("train", is_done_anew=True):
        pass
    assert times.seconds == {"images": 3.0, "train": 5.0}
    rerun = a_run()
    with rerun.measured("images"):
        pass
    with rerun.measured("train", is_done_anew=True):
        pass
    assert rerun.seconds["images"] == 3.0
    assert rerun.seconds["train"] != 5.0
    assert rerun.resumed == []
    assert a_run().seconds == rerun.seconds


def test_a_stage_finished_by_a_later_run_is_marked(a_run: Callable[[], StageTimes]) -> None:
    for stage in ("build", "train"):
        with pytest.raises(RuntimeError), a_run().measured(stage, is_done_anew=stage == "train"):
            raise RuntimeError
    assert a_run().seconds == {}
    rerun = a_run()
    with rerun.measured("build"):
        pass
    with rerun.measured("train", is_done_anew=True):
        pass
    assert list(rerun.seconds) == ["build", "train"]
    assert a_run().resumed == ["build"]
