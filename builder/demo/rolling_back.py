"""Pulls a version, and rolls one back on a Hub of its own.

A version that restores another is the newest of its repository, and on the
first Hub the reviewed one shall stay that.
"""

import shutil
from typing import Any

import orjson

from builder.demo.context import FIRST, REPO_ID, SECOND, Demo
from builder.demo.publishing import load_cold
from builder.demo.services import free_port, running_hub


def pull_and_roll_back(demo: Demo) -> dict[str, Any]:
    """Rebuilds a workspace from the first version, and restores that version after the second.

    Returns:
        What `summary.json` says of it.
    """
    scratch = demo.root / "rollback"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    pulled = scratch / "workspace"
    demo.show("builder", "pull", f"{REPO_ID}@{FIRST}", "-w", pulled)
    token = demo.environment["HF_TOKEN"]
    with running_hub("second Hub", scratch / "hub", free_port(), token, scratch / "hub.log") as url:
        there = {"HF_ENDPOINT": url}
        for version in (FIRST, SECOND):
            words = ("publish", REPO_ID, "--version", version, "-w", demo.workspace)
            demo.show("builder", *words, environment=there)
        demo.show("builder", "rollback", REPO_ID, FIRST, "-w", pulled, environment=there)
        said = demo.command("builder", "versions", REPO_ID, "--json", environment=there)
        restored = orjson.loads(said)[-1]
        loaded = load_cold(demo, restored["version"], there)
    words = ("diff", FIRST, restored["version"], "-w", pulled, "--json")
    differing = orjson.loads(demo.command("builder", *words))["rows"]
    demo.console.print(
        f"v{restored['version']} restores v{FIRST}: {sum(differing.values())} rows differ.",
        highlight=False,
    )
    return {
        "pulled": f"{REPO_ID}@{FIRST}",
        "restored": FIRST,
        "release": restored,
        "num_differing_rows": sum(differing.values()),
        "loaded": loaded,
    }
