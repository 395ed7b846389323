"""Resident memory of a large build with many calls in flight; prints a table.

`python -m benchmarks.generation_memory [--samples 20000] [--in-flight 1000]`

Memory is to stay flat (within 10 %) from 2,000 samples to the end, and no
call is to fail.
"""

import argparse
import io
import os
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.generation import endpoint
from benchmarks.machine import describe_machine
from benchmarks.scripted_build import config_for, fill_workspace
from builder.generate.session import BuildOptions, run_build
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace, open_workspace

_MARKS = (500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 50_000, 100_000)
_FROM = 2_000
_LOOK_S = 0.2


def resident_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch(threading.Thread):
    """Notes memory whenever the ledger passes a mark."""

    def __init__(self, workspace: Workspace, num: int) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, float]] = []
        self.ended = threading.Event()
        self._path = workspace.ledger_path
        self._marks = [mark for mark in _MARKS if mark < num]

    def run(self) -> None:
        while not self._path.exists():
            time.sleep(_LOOK_S)
        time.sleep(1.0)
        with Ledger(self._path) as ledger:
            while not self.ended.wait(_LOOK_S):
                row = ledger.db.execute("SELECT count(*) FROM outcome").fetchone()
                if self._marks and row[0] >= self._marks[0]:
                    self._marks.pop(0)
                    self.seen.append((row[0], resident_mb()))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=1_000)
    parser.add_argument("--port", type=int, default=8794)
    arguments = parser.parse_args()
    with endpoint(arguments.port) as env, tempfile.TemporaryDirectory() as directory:
        os.environ.update(env)
        workspace = open_workspace(Path(directory), create=True)
        fill_workspace(workspace)
        config = config_for(arguments.samples, arguments.in_flight)
        watch = Watch(workspace, arguments.samples)
        watch.start()
        before = time.perf_counter()
        summary = run_build(workspace, config, BuildOptions(), Console(file=io.StringIO()))
        took_s = time.perf_counter() - before
        watch.ended.set()
        watch.join()
        with Ledger(workspace.ledger_path) as ledger:
            spent = ledger.spent()
    table = Table(
        title=f"{arguments.in_flight} in flight, {summary.num_kept} samples",
        caption=describe_machine(),
    )
    table.add_column("outcomes", justify="right")
    table.add_column("resident MB", justify="right")
    for num, megabytes in watch.seen:
        table.add_row(str(num), f"{megabytes:.0f}")
    console = Console()
    console.print(table)
    flat = [megabytes for num, megabytes in watch.seen if num >= _FROM]
    growth = max(flat) / flat[0] - 1 if flat else 0.0
    console.print(
        f"growth from {_FROM} samples on: {growth:+.1%}; "
        f"failed calls: {spent.num_requests - spent.num_replies}; "
        f"{summary.num_kept / took_s:.0f} samples a second",
        highlight=False,
    )


if __name__ == "__main__":
    main()
