"""`build`: the closed loop, from a configuration to kept samples."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from builder.api.settings import Settings, read_settings
from builder.api.showing import console, say
from builder.config import BuildConfig, ConfigError
from builder.generate.progress import Summary
from builder.generate.session import BuildOptions, run_build
from builder.plan.recipe import require_recipe
from builder.samples.pilot import PILOT_NAME, write_pilot_page
from builder.workspace import Workspace, open_workspace

T = TypeVar("T")


def build(
    config: Settings | None = None,
    workspace: Path | str = "workspace",
    *,
    model: str | None = None,
    shard: str | None = None,
    batch: bool = False,
    max_usd: float | None = None,
    max_requests: int | None = None,
    rounds: int | None = None,
    pilot: int | None = None,
    show: bool = False,
) -> Summary:
    """Asks a multimodal LLM for samples until the wanted shares are met; resumes where it stopped.

    Inside a running event loop, as in a notebook, the build gets a thread and a
    loop of its own; an interrupt stops it as Ctrl-C stops the command.

        summary = build({"num_samples": 200, "languages": "uniform"}, max_usd=5)
        summary.num_kept, summary.spent.cost_usd

    Args:
        config: A configuration, its settings, or a YAML file; the workspace's own if None.
        workspace: Directory of the build; made if missing.
        model: Model to ask, instead of the configuration's.
        shard: "i/N": only the i-th of N parts of the first round.
        batch: Use the endpoint's Batch API.
        max_usd: Stop before the workspace spends more than this.
        max_requests: Stop when the workspace has sent this many requests.
        rounds: Cap on rounds, instead of the configuration's.
        pilot: Only so many samples, spread over cells and languages, and a page to look at them:
            `pilot.html` in the workspace. What it keeps counts towards the build.
        show: Show progress and summary on stderr.

    Raises:
        PolysceneError: It could not start, was stopped, or kept nothing; what was done is kept.
        KeyboardInterrupt: It was interrupted; likewise.
    """
    opened = open_workspace(Path(workspace), create=True)
    wanted = wanted_config(config, opened, model=model, rounds=rounds)
    require_recipe(wanted)
    interrupted = threading.Event()
    options = BuildOptions(
        shard=parse_shard(shard),
        max_usd=max_usd,
        max_requests=max_requests,
        batch=batch,
        interrupted=interrupted,
        pilot=pilot,
    )
    if pilot is not None and shard is not None:
        raise ConfigError("--pilot with --shard: a pilot is made on one machine. Give one of them.")
    summary = _outside_of_loops(
        lambda: run_build(opened, wanted, options, console(show)), interrupted
    )
    if pilot is not None:
        page = opened.root / PILOT_NAME
        say(show, f"pilot: {write_pilot_page(opened, wanted, page)} Look at {page}")
    return summary


def wanted_config(
    config: Settings | None, workspace: Workspace, *, model: str | None, rounds: int | None
) -> BuildConfig:
    """The configuration with what is asked for besides.

    Raises:
        ConfigError: A setting is wrong, or there is no configuration at all.
    """
    wanted = read_settings(config, workspace)
    changes: dict[str, object] = {}
    if model is not None:
        if wanted.teachers:
            raise ConfigError(
                "--model: the configuration has several teachers. Change their `model` there."
            )
        changes["teacher"] = wanted.teacher.model_copy(update={"model": model})
    if rounds is not None:
        changes["max_rounds"] = rounds
    return wanted.model_copy(update=changes)


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Part and number of parts of "2/8": (1, 8), the second of eight, counted from 0.

    Raises:
        ConfigError: The text has another form.
    """
    if text is None:
        return None
    first, slash, second = text.partition("/")
    if slash and first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second):
        return int(first) - 1, int(second)
    raise ConfigError(f"--shard {text}: not i/N with 1 <= i <= N. Write a part such as 1/4.")


def _outside_of_loops(work: Callable[[], T], interrupted: threading.Event) -> T:
    """Runs what needs an event loop of its own, in another thread where one runs in this."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="build") as threads:
        future = threads.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            interrupted.set()  # leaving the block waits until what is in flight is kept
            raise
