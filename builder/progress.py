"""Progress of long stages: bars on a terminal's stderr, a plain line now and then in a log."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

#: Without a terminal, a stage that takes less time than this prints nothing.
_PLAIN_LINE_S = 15.0


class Progress(Protocol):
    """Called with the stage that runs, and how much of how much of it is done.

    The total is 0 where it is not known. A stage may begin again.
    """

    def __call__(self, stage: str, done: int, total: int, /) -> None: ...


def no_progress(stage: str, done: int, total: int, /) -> None:
    """Shows nothing."""


@contextmanager
def progress_bar(
    label: str,
    total: int | None,
    *,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Shows a bar while the block runs.

    Args:
        label: What is counted.
        total: How many there are; None where that is not known.
        console: Where to show it; stderr when None. Where that is not a terminal,
            a plain line appears every 15 seconds.
        clock: Seconds, monotonic.

    Yields:
        A function to call with the number of things just done.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = console or Console(stderr=True)
    lines = _PlainLines(console, clock)
    with RichProgress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(label, total=total, bytes=False)

        def advance(num_done: int) -> None:
            progress.advance(task, num_done)
            lines.print_if_due(progress, task)

        yield advance


@contextmanager
def stage_bars(
    label: str,
    byte_stages: Collection[str] = (),
    *,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Shows a bar for each stage while the block runs.

    Args:
        label: What the stages work on; follows the stage's name.
        byte_stages: Names of the stages that count bytes.
        console: As in `progress_bar`.
        clock: Seconds, monotonic.

    Yields:
        A function to report a stage's progress to.
    """
    console = console or Console(stderr=True)
    lines = _PlainLines(console, clock)
    with RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        _AmountColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        shown: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                name = f"{stage} {label}"
                shown[stage] = progress.add_task(name, total=None, bytes=stage in byte_stages)
            progress.update(shown[stage], completed=done, total=total or None)
            lines.print_if_due(progress, shown[stage])

        yield advance


class _AmountColumn(ProgressColumn):
    """Bytes with their speed, or a plain count; nothing where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._size, self._speed, self._count = (
            DownloadColumn(),
            TransferSpeedColumn(),
            MofNCompleteColumn(),
        )

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        if not task.fields["bytes"]:
            return self._count.render(task)
        return Text.assemble(self._size.render(task), " ", self._speed.render(task))


class _PlainLines:
    """Prints lines for a log instead of bars."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._next_s = clock() + _PLAIN_LINE_S

    def print_if_due(self, progress: RichProgress, task_id: TaskID) -> None:
        """Prints how far a task is if the last line is old enough."""
        now_s = self._clock()
        if self._console.is_terminal or now_s < self._next_s:
            return
        self._next_s = now_s + _PLAIN_LINE_S
        task = progress.tasks[progress.task_ids.index(task_id)]
        unit, shown = (1e6, "{:,.1f} MB") if task.fields["bytes"] else (1, "{:,.0f}")
        amount = shown.format(task.completed / unit) if task.completed else "started"
        if task.total is not None and task.completed:
            amount += " of " + shown.format(task.total / unit)
        self._console.print(f"{task.description}: {amount}", highlight=False, soft_wrap=True)
