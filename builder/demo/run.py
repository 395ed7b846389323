"""The demo as a story: images, build, release, publish, review, release again, train, measure."""

import os
import shutil
from typing import Any

import orjson

from builder.demo import reviewer
from builder.demo.environment import demo_environment
from builder.demo.services import free_port, running
from builder.demo.setting import FIRST, NUM_REVIEWED, REPO_ID, SECOND, SEED, Demo
from builder.demo.summary import summarise


def run_demo(demo: Demo) -> dict[str, Any]:
    """Runs every stage; returns what `summary.json` holds.

    Raises:
        PolysceneError: A stage or an embedded server failed.
    """
    teacher_port, hub_port = free_port(), free_port()
    token = "demo-" + os.urandom(12).hex()
    demo.environment = demo_environment(
        os.environ,
        endpoint=f"http://127.0.0.1:{teacher_port}/v1",
        hub=f"http://127.0.0.1:{hub_port}",
        token=token,
        home=demo.root / "hf_home",
    )
    teacher = ["teacher", "--port", str(teacher_port), "--planted", str(demo.planted)]
    hub = ["hub", "--port", str(hub_port), "--root", str(demo.root / "hub")]
    accounts = {"HUB_TOKENS": orjson.dumps({token: ["demo", "write"]}).decode()}
    with (
        running("lexicon teacher", teacher, teacher_port, demo.root / "teacher.log", {}),
        running("embedded Hub", hub, hub_port, demo.root / "hub.log", accounts),
    ):
        loaded = _build_and_publish(demo)
        decisions = _review_and_publish_again(demo, loaded)
        releases = orjson.loads(demo.command("builder", "versions", REPO_ID, "--json"))
        _train(demo)
    return summarise(demo, loaded, decisions, releases)


def _build_and_publish(demo: Demo) -> list[dict[str, Any]]:
    with demo.stage("images", "1 · Images: the bundled pictograms"):
        demo.show("builder", "images", "add", "pictograms", "-w", demo.workspace)
    with demo.stage("build", "2 · Plan → generate → check → balance"):
        demo.show("builder", "build", "--config", demo.recipe, "-w", demo.workspace)
    with demo.stage("publish", f"3 · Release and publish v{FIRST}, then load it"):
        _release_and_publish(demo, FIRST)
        return [_load(demo, FIRST)]


def _review_and_publish_again(demo: Demo, loaded: list[dict[str, Any]]) -> reviewer.Decisions:
    store = demo.root / "reviews.sqlite"
    release_dir = demo.workspace / "releases" / FIRST
    with demo.stage("review", f"4 · Review, release and publish v{SECOND}"):
        decisions = reviewer.decide(release_dir, demo.planted, NUM_REVIEWED, SEED)
        reviewer.write_decisions(demo.root / "decisions.jsonl", decisions)
        demo.console.print(
            f"The scripted reviewer went through {len(decisions.lines)} rows: accepted "
            f"{decisions.num_accepted}, mended {decisions.num_mended}, "
            f"rejected {decisions.num_rejected}."
        )
        source = ("--dataset", release_dir, "--store", store, "--reviewer", reviewer.NAME)
        demo.show("curation_app", "record", demo.root / "decisions.jsonl", *source)
        reviews = demo.workspace / "reviews.jsonl"
        demo.show("curation_app", "export", "--store", store, "--output", reviews)
        _release_and_publish(demo, SECOND)
        loaded.append(_load(demo, SECOND))
        demo.show("builder", "diff", FIRST, SECOND, "-w", demo.workspace)
    return decisions


def _release_and_publish(demo: Demo, version: str) -> None:
    if (demo.workspace / "releases" / version).exists():
        demo.console.print(f"Version {version} was released by an earlier run.")
    else:
        demo.show("builder", "release", "--version", version, "-w", demo.workspace)
    demo.show("builder", "publish", REPO_ID, "--version", version, "-w", demo.workspace)


def _load(demo: Demo, version: str) -> dict[str, Any]:
    """Loads in a new process with a cold cache, as a user elsewhere would."""
    home = demo.cold_cache
    shutil.rmtree(home, ignore_errors=True)
    said = demo.command(
        "builder.demo.load_check",
        REPO_ID,
        "Retrieval",
        f"v{version}",
        environment={"HF_HOME": str(home.resolve())},
    )
    shutil.rmtree(home)
    found = orjson.loads(said.strip().splitlines()[-1])
    demo.console.print(
        f'load_dataset("{REPO_ID}", "Retrieval", revision="v{version}"): '
        f"{found['num_rows']} rows, images decode"
    )
    return found


def _train(demo: Demo) -> None:
    with demo.stage("train", "5 · Train and measure on the published version", is_done_anew=True):
        version = ("--dataset", REPO_ID, "--revision", f"v{SECOND}")
        output = ("--output", demo.root / "training")
        demo.show("trainer", "compare", *version, *output, *demo.training)
