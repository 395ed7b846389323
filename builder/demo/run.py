"""The demo as a story: images, build, release, publish, review, release again, train, measure."""

import os
from typing import Any

import orjson

from builder.demo import reviewer
from builder.demo.auditing import audit_first_version
from builder.demo.context import (
    FIRST,
    HEADS_STEPS,
    LORA_SETTINGS,
    NUM_REVIEWED,
    REPO_ID,
    SECOND,
    SEED,
    SEEDS,
    VERSIONS_STEPS,
    Demo,
)
from builder.demo.environment import demo_environment
from builder.demo.publishing import load_cold, release_and_publish
from builder.demo.rolling_back import pull_and_roll_back
from builder.demo.services import free_port, running, running_hub
from builder.demo.summary import summarise


def run_demo(demo: Demo) -> dict[str, Any]:
    """Runs every stage; returns what `summary.json` holds.

    Raises:
        PolysceneError: A stage or an embedded server failed.
    """
    teacher_port, hub_port = free_port(), free_port()
    teacher = ["teacher", "--port", str(teacher_port), "--planted", str(demo.planted)]
    token = "demo-" + os.urandom(12).hex()
    with (
        running("lexicon teacher", teacher, teacher_port, demo.root / "teacher.log", {}),
        running_hub(
            "embedded Hub", demo.root / "hub", hub_port, token, demo.root / "hub.log"
        ) as hub,
    ):
        demo.environment = demo_environment(
            os.environ,
            endpoint=f"http://127.0.0.1:{teacher_port}/v1",
            hub=hub,
            token=token,
            home=demo.root / "hf_home",
        )
        loaded = _build_and_publish(demo)
        decisions = _review_and_publish_again(demo, loaded)
        releases = orjson.loads(demo.command("builder", "versions", REPO_ID, "--json"))
        with demo.stage("rollback", "5 · Pull a version, and roll one back on a second Hub"):
            rolled_back = pull_and_roll_back(demo)
        _train(demo)
    return summarise(demo, loaded, decisions, releases, rolled_back)


def _build_and_publish(demo: Demo) -> list[dict[str, Any]]:
    with demo.stage("images", "1 · Images: the bundled pictograms"):
        demo.show("builder", "images", "add", "pictograms", "-w", demo.workspace)
    with demo.stage("build", "2 · Plan → generate → check → balance"):
        demo.show("builder", "build", "--config", demo.recipe, "-w", demo.workspace)
    with demo.stage("publish", f"3 · Release and publish v{FIRST}, then load it"):
        release_and_publish(demo, FIRST)
        return [load_cold(demo, FIRST)]


def _review_and_publish_again(demo: Demo, loaded: list[dict[str, Any]]) -> reviewer.Decisions:
    release_dir = demo.workspace / "releases" / FIRST
    with demo.stage("review", f"4 · Audit and review, release and publish v{SECOND}"):
        audit_first_version(demo)
        decisions = reviewer.decide(release_dir, demo.planted, NUM_REVIEWED, SEED)
        reviewer.write_decisions(demo.root / "decisions.jsonl", decisions)
        demo.console.print(
            f"The scripted reviewer went through {len(decisions.lines)} rows: accepted "
            f"{decisions.num_accepted}, edited {decisions.num_edited}, "
            f"rejected {decisions.num_rejected}."
        )
        source = ("--dataset", release_dir, "--store", demo.store, "--reviewer", reviewer.NAME)
        demo.show("curation_app", "record", demo.root / "decisions.jsonl", *source)
        release_and_publish(demo, SECOND)
        loaded.append(load_cold(demo, SECOND))
        demo.show("builder", "diff", FIRST, SECOND, "-w", demo.workspace)
    return decisions


def _train(demo: Demo) -> None:
    first, second = f"{REPO_ID}@{FIRST}", f"{REPO_ID}@{SECOND}"
    with demo.stage("train", "6 · Train and measure on the published versions", is_done_anew=True):
        steps = demo.steps or ("--steps", str(HEADS_STEPS))
        demo.show("trainer", "compare", second, "--output", demo.training, *SEEDS, *steps)
        fewer = demo.steps or ("--steps", str(VERSIONS_STEPS))
        demo.show("trainer", "compare", first, second, "--output", demo.versions, *SEEDS, *fewer)
        heads = ("--tune", "heads", "--output", demo.heads)
        demo.show("trainer", "train", "--dataset", second, *heads, *demo.steps)
        settings = (*LORA_SETTINGS, *demo.steps)  # of two --steps the last one counts
        lora = ("--model", demo.heads, "--tune", "lora", *settings, "--output", demo.model)
        demo.show("trainer", "train", "--dataset", second, *lora)
