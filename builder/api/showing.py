"""What a function of the API shows while it runs: all of it on stderr, or nothing."""

import io
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from rich.console import Console

from builder.progress import Progress, no_progress, stage_bars


def console(show: bool) -> Console:
    """Stderr, or a console that nobody sees."""
    return Console(stderr=True) if show else Console(file=io.StringIO(), quiet=True)


@contextmanager
def stages(show: bool, label: str, byte_stages: Collection[str] = ()) -> Iterator[Progress]:
    """Bars for the stages of the block, if they are to be shown."""
    if not show:
        yield no_progress
        return
    with stage_bars(label, byte_stages) as progress:
        yield progress


def say(show: bool, line: str) -> None:
    """Prints a line on stderr, if it is to be shown."""
    if show:
        print(line, file=sys.stderr)
