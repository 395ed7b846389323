"""The demo as a user starts it, and the processes that belong to it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def start_demo(
    root: Path, *options: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts it beside its directory, in a session of its own; what it prints goes to `demo.log`.

    Args:
        root: Its directory.
        options: Further options.
        environment: Variables on top of this process's own.
    """
    with root.with_name("demo.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "builder", "demo", "--root", str(root), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=root.parent,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )


def commands_below(root: Path) -> list[str]:
    """The command of every `python -m builder COMMAND …` whose arguments name the directory."""
    commands: list[str] = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_text().split("\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if any(word.startswith(str(root)) for word in words) and "-m" in words:
            commands.append(words[words.index("-m") + 2])
    return commands


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> None:
    """Waits for something to become true; fails when it does not."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {timeout_s:.0f} s"
        time.sleep(0.05)
