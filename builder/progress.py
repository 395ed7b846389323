"""Progress bars on stderr, the same for every long stage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(
    label: str, total: int | None, *, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Shows a bar while the block runs; silent where stderr is no terminal.

    Yields:
        A function to call with the number of things just done.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=total)
        yield lambda num_done: progress.advance(task, num_done)
