"""Sets a demo run up, runs it and writes `summary.json`."""

import shutil
import signal
import sys
from pathlib import Path

import orjson
from rich.console import Console

from builder.config import load_config, save_config
from builder.demo.run import run_demo
from builder.demo.setting import RECIPE, Demo, DemoError
from builder.demo.summary import print_summary

_SUMMARY = "summary.json"


def demo_command(root: Path, *, num_samples: int | None, steps: int | None, fresh: bool) -> None:
    """Runs the demo below `root`.

    Raises:
        PolysceneError: A stage failed, or `root` holds something else.
    """
    console = Console(stderr=True)
    if root.exists() and any(root.iterdir()) and not (root / "workspace").exists():
        raise DemoError(f"{root}: holds something that is no demo. Name another --root.")
    if fresh:
        shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    demo = Demo(root, console, training=("--steps", str(steps)) if steps else ())
    if num_samples is not None:
        config = load_config(RECIPE).model_copy(update={"num_samples": num_samples})
        demo.recipe = root / "recipe.yaml"
        save_config(config, demo.recipe)
    # Told to end, it still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    summary = run_demo(demo)
    temporary = root / (_SUMMARY + ".part")
    temporary.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2) + b"\n")
    temporary.replace(root / _SUMMARY)
    print_summary(summary, console)
    console.print(
        f"Every number: {root / _SUMMARY} · plot: {root / 'training' / 'recall.png'}\n"
        "Now look at the newest version in the browser: [bold]make app[/bold]",
        highlight=False,
    )
