import io
import os
import signal
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from builder.demo.context import Demo, DemoError
from builder.demo.services import ServiceError, free_port, running
from builder.demo.stage_times import StageTimes
from tests.builder.running_demo import commands_below, start_demo, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_demo_told_to_end_ends_its_servers_and_its_stage(
    tmp_path: Path, number: signal.Signals
) -> None:
    root = tmp_path / "demo"
    demo = start_demo(root, "--num-samples", "2500")  # builds for longer than is waited below
    try:
        wait_until(lambda: (root / "workspace" / "ledger.sqlite").exists(), timeout_s=120)
        assert {"build", "hub", "teacher"} <= set(commands_below(root))
        demo.send_signal(number)
        demo.wait(timeout=60)
        wait_until(lambda: "build" not in commands_below(root), timeout_s=3)
        wait_until(lambda: not commands_below(root), timeout_s=20)
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)


def test_a_server_that_does_not_start_is_named_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "teacher.log"
    with (
        pytest.raises(ServiceError, match=r"the teacher ended with code \d+; see .*teacher\.log"),
        running("teacher", ["teacher", "--no-such-option"], free_port(), log, {}),
    ):
        pass


def test_a_stage_that_fails_is_named_with_both_ways_to_go_on(tmp_path: Path) -> None:
    demo = Demo(
        tmp_path,
        Console(file=io.StringIO()),
        tmp_path / "recipe.yaml",
        StageTimes(tmp_path / "stages.json"),
        environment=dict(os.environ),
    )
    with pytest.raises(DemoError) as failed, demo.stage("images", "1 · Images"):
        demo.show("builder", "images", "stats", "-w", tmp_path / "none")
    assert f"`python -m builder images stats -w {tmp_path / 'none'}` ended with code 1" in str(
        failed.value
    )
    assert "Run the demo again" in str(failed.value)
    assert "--fresh" in str(failed.value)
    assert demo.times.seconds == {}


def test_the_reviewer_mends_rejects_and_accepts(tmp_path: Path) -> None:
    from builder.demo.reviewer import decide
    from schemas.shards import write_shard

    draft = {"instruction": "Name it.", "positive_text": "apple", "negative_text": "pear"}
    row = dict.fromkeys(_provenance_columns()) | {
        "task_type": "retrieval",
        "modality": "I->T",
        "revision": draft,
    }
    rows = [row | {"id": f"{seed:024x}", "seed": seed} for seed in range(4)]
    shard = tmp_path / "release" / "data" / "provenance" / "train-0.parquet"
    shard.parent.mkdir(parents=True)
    write_shard(shard, "provenance", rows)
    notes = [
        {"seed": "1", "mistake": "wrong_concept", "correct": draft | {"positive_text": "plum"}},
        {"seed": "2", "mistake": "swapped_negative", "correct": draft | {"negative_text": "fig"}},
        {"seed": "3", "mistake": "broken_json", "correct": draft},
    ]
    planted = tmp_path / "planted.jsonl"
    unfinished = b'{"seed": "0", "mistake": "wrong_con'
    planted.write_bytes(b"".join(orjson.dumps(note) + b"\n" for note in notes) + unfinished)
    decisions = decide(tmp_path / "release", planted, num_rows=10, seed=0)
    by_id = {int(line.pop("sample_id"), 16): line for line in decisions.lines}
    assert by_id == {
        0: {"verdict": "accept"},
        1: {"reasons": ["positive_wrong"], "edits": {"positive_text": "plum"}},
        2: {"reasons": ["negative_correct"], "verdict": "reject"},
        3: {"verdict": "accept"},
    }


def _provenance_columns() -> list[str]:
    from schemas.features import PROVENANCE_SCHEMA

    return PROVENANCE_SCHEMA.names
