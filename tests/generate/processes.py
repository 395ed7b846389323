"""Child processes that start in milliseconds: forked from a server that has the builder loaded."""

import io
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rich.console import Console

from builder.config import BuildConfig
from schemas.errors import PolysceneError


def start_process(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Runs a function in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["builder.generate.session", "tests.generate.processes"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def run_child_build(
    root: Path, config: dict[str, Any], options: dict[str, Any], log: Path, url: str, key: str
) -> None:
    """A build as the command line runs it; exit code 0, 1 on an error of ours, 130 on a signal."""
    from builder.generate.session import BuildOptions, run_build
    from builder.workspace import open_workspace

    os.environ["OPENAI_BASE_URL"] = url
    os.environ["OPENAI_API_KEY"] = key
    said = io.StringIO()
    code = 0
    try:
        run_build(
            open_workspace(root),
            BuildConfig.model_validate(config),
            BuildOptions(**options),
            Console(file=said),
        )
    except PolysceneError as exc:
        print(f"error: {exc}", file=said)
        code = 1
    except KeyboardInterrupt:
        code = 130
    log.write_text(said.getvalue(), encoding="utf-8")
    os._exit(code)
