"""Publishes a version of the demo's, and loads one as a reader elsewhere would."""

import shutil
from collections.abc import Mapping
from typing import Any

import orjson

from builder.demo.context import CONFIG, REPO_ID, Demo, DemoError


def release_and_publish(demo: Demo, version: str) -> None:
    """Makes a version in the workspace, unless an earlier run did, and publishes it."""
    if (demo.workspace / "releases" / version).exists():
        demo.console.print(f"Version {version} was released by an earlier run.")
    else:
        demo.show("builder", "release", "--version", version, "-w", demo.workspace)
    demo.show("builder", "publish", REPO_ID, "--version", version, "-w", demo.workspace)


def load_cold(
    demo: Demo, version: str, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Loads a version in a new process with a cold cache, streamed and whole.

    Args:
        demo: The run.
        version: Which.
        environment: Variables on top of the demo's.

    Returns:
        What `builder.demo.load_check` found.

    Raises:
        DemoError: It could not be loaded, or the two ways gave different rows.
    """
    home = demo.cold_cache
    shutil.rmtree(home, ignore_errors=True)
    said = demo.command(
        "builder.demo.load_check",
        REPO_ID,
        CONFIG,
        f"v{version}",
        environment={**(environment or {}), "HF_HOME": str(home.resolve())},
    )
    shutil.rmtree(home)
    found = orjson.loads(said.strip().splitlines()[-1])
    if any(found[name] != value for name, value in found["streamed"].items()):
        raise DemoError(
            f"{REPO_ID}: v{version} gives other rows when it is streamed. Begin anew with --fresh."
        )
    demo.console.print(
        f'load_dataset("{REPO_ID}", "{CONFIG}", revision="v{version}"): '
        f"{found['num_rows']} rows, images decode; the same with streaming=True"
    )
    return found
