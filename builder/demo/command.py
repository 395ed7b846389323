"""Sets a demo run up, runs it and writes `summary.json`."""

import signal
import sys
from pathlib import Path

import orjson
from rich.console import Console

from builder.config import load_config
from builder.demo.context import RECIPE, Demo
from builder.demo.directory import TIMES_NAME, open_directory
from builder.demo.run import run_demo
from builder.demo.stage_times import StageTimes
from builder.demo.summary import print_summary

_SUMMARY = "summary.json"


def demo_command(root: Path, *, num_samples: int | None, steps: int | None, fresh: bool) -> None:
    """Runs the demo below `root`.

    Raises:
        PolysceneError: A stage failed, or `root` is no demo's, or a demo of another recipe's.
    """
    directory = open_directory(root)
    with directory.locked():
        if fresh:
            directory.clear()
        wanted = load_config(RECIPE)
        if num_samples is not None:
            wanted = wanted.model_copy(update={"num_samples": num_samples})
        console = Console(stderr=True)
        shortened = ("--steps", str(steps)) if steps else ()
        recipe = directory.choose_recipe(wanted)
        _run(Demo(root, console, recipe, StageTimes(root / TIMES_NAME), shortened))


def _run(demo: Demo) -> None:
    # Told to end, it still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    summary = run_demo(demo)
    written = demo.root / _SUMMARY
    temporary = written.with_name(_SUMMARY + ".part")
    temporary.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2) + b"\n")
    temporary.replace(written)
    print_summary(summary, demo.console)
    demo.console.print(
        f"Every number: {written} · plot: {demo.training / 'recall.png'} · model: {demo.model}\n"
        "Now look at the newest version in the browser: [bold]make app[/bold]",
        highlight=False,
    )
