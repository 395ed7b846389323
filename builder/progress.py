"""Progress bars on stderr, the same for every long stage."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


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


@contextmanager
def stage_bars(
    label: str, byte_stages: Collection[str], *, console: Console | None = None
) -> Iterator[Callable[[str, int, int], None]]:
    """Shows a bar for each stage while the block runs.

    Args:
        label: What all of it is about.
        byte_stages: Names of the stages that count bytes.
        console: Where to; stderr when None.

    Yields:
        A function to call with a stage, and how much of how much of it is done.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        _AmountColumn(),
        console=console or Console(stderr=True),
    ) as progress:
        shown: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                is_bytes = stage in byte_stages
                shown[stage] = progress.add_task(f"{stage} {label}", total=total, bytes=is_bytes)
            progress.update(shown[stage], completed=done, total=total)

        yield advance


class _AmountColumn(ProgressColumn):
    """Bytes with their speed, or a plain count."""

    def __init__(self) -> None:
        super().__init__()
        self._size, self._speed, self._count = (
            DownloadColumn(),
            TransferSpeedColumn(),
            MofNCompleteColumn(),
        )

    def render(self, task: Task) -> Text:
        if not task.fields["bytes"]:
            return self._count.render(task)
        return Text.assemble(self._size.render(task), " ", self._speed.render(task))
