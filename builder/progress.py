"""Progress bars on stderr, the same for every long stage; a plain line now and then in a log."""

import time
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

#: Where there is no terminal: what is over sooner is not told of at all.
_PLAIN_LINE_S = 15.0


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
        total: How many there are, where that is known.
        console: Where to; stderr when None. Where it is no terminal, a plain
            line every 15 seconds.
        clock: Seconds, monotonic.

    Yields:
        A function to call with the number of things just done.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = console or Console(stderr=True)
    lines = _PlainLines(console, clock)
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(label, total=total, bytes=False)

        def advance(num_done: int) -> None:
            progress.advance(task, num_done)
            lines.tell(progress, task)

        yield advance


@contextmanager
def stage_bars(
    label: str,
    byte_stages: Collection[str] = (),
    *,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[str, int, int], None]]:
    """Shows a bar for each stage while the block runs.

    Args:
        label: What all of it is about.
        byte_stages: Names of the stages that count bytes.
        console: Where to, as above.
        clock: Seconds, monotonic.

    Yields:
        A function to call with a stage, and how much of how much of it is
        done; of 0 where nobody knows how much there is.
    """
    console = console or Console(stderr=True)
    lines = _PlainLines(console, clock)
    with Progress(
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
            lines.tell(progress, shown[stage])

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
    """Lines for a log, in place of bars."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._next_s = clock() + _PLAIN_LINE_S

    def tell(self, progress: Progress, task_id: TaskID) -> None:
        """Prints how far a task is, if a line is due."""
        now_s = self._clock()
        if self._console.is_terminal or now_s < self._next_s:
            return
        self._next_s = now_s + _PLAIN_LINE_S
        task = progress.tasks[progress.task_ids.index(task_id)]
        unit, shown = (1e6, "{:,.1f} MB") if task.fields["bytes"] else (1, "{:,.0f}")
        amount = shown.format(task.completed / unit) if task.completed else "begun"
        if task.total is not None and task.completed:
            amount += " of " + shown.format(task.total / unit)
        self._console.print(f"{task.description}: {amount}", highlight=False, soft_wrap=True)
