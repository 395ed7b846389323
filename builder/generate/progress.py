"""What a running build shows: a live panel on a terminal, a plain line now and then elsewhere."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from builder.generate.budget import Budget
from builder.generate.pace import Pace
from builder.generate.tally import Tally

_REFRESH_S = 0.5
_PLAIN_LINE_S = 15.0
#: Rows a second are counted over this long.
_RATE_WINDOW_S = 30.0
_LANGUAGES_IN_LINE = 3
_LANGUAGES_IN_PANEL = 5


class Report:
    """Renders the counts of a run.

    Args:
        tally: What is counted.
        pace: Requests in flight.
        budget: Dollars of the whole workspace.
        has_price: Whether the model's price is known.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        tally: Tally,
        pace: Pace,
        budget: Budget,
        *,
        has_price: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tally = tally
        self._pace = pace
        self._budget = budget
        self._has_price = has_price
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._bar = Progress(
            TextColumn("[bold]round {task.fields[round]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[eta]}"),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("jobs", total=None, round=0, eta="")

    def line(self) -> str:
        """Everything on one line."""
        tally = self._tally
        done = f"{tally.num_done_in_round}/{tally.num_planned}"
        worst = self._worst(_LANGUAGES_IN_LINE)
        return f"round {tally.round}: {done} jobs{self._eta()}; {self._facts()}" + (
            f" · most dropped: {worst}" if worst else ""
        )

    def panel(self) -> Group:
        """The live display: a bar and two lines."""
        tally = self._tally
        self._bar.update(
            self._task,
            total=tally.num_planned or None,
            completed=tally.num_done_in_round,
            round=tally.round,
            eta=self._eta().removeprefix(", "),
        )
        worst = self._worst(_LANGUAGES_IN_PANEL) or "none"
        return Group(self._bar, Text(self._facts()), Text(f"dropped by language: {worst}"))

    def _worst(self, num: int) -> str:
        """Languages with the largest share of dropped jobs; empty where nothing was dropped."""
        worst = self._tally.worst_languages(num)
        return ", ".join(f"{code} {share:.0%}" for code, share in worst)

    def _rate(self) -> float:
        now, done = self._clock(), self._tally.num_done
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        return (done - before) / (now - then) if now > then else 0.0

    def _eta(self) -> str:
        rate = self._rate()
        left = self._tally.num_planned - self._tally.num_done_in_round
        if rate <= 0 or left <= 0:
            return ""
        minutes, seconds = divmod(int(left / rate), 60)
        hours, minutes = divmod(minutes, 60)
        return f", {hours}:{minutes:02}:{seconds:02} left"

    def _facts(self) -> str:
        tally = self._tally
        dropped = tally.dropped.total()
        spent = f"${self._budget.cost_usd:.4f}" if self._has_price else "price unknown"
        if self._budget.num_estimated:
            spent += f" ({self._budget.num_estimated} replies without usage estimated)"
        failed = self._pace.failures.total()
        return (
            f"{self._rate():.1f}/s · kept {tally.num_kept} · dropped {dropped} · "
            f"in flight {self._pace.in_flight}/{int(self._pace.limit)} · "
            f"failed calls {failed} · {spent}"
        )


@asynccontextmanager
async def shown(report: Report, console: Console) -> AsyncIterator[None]:
    """Shows the report while the block runs."""
    task = asyncio.create_task(_show(report, console))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _show(report: Report, console: Console) -> None:
    if not console.is_terminal:
        while True:
            await asyncio.sleep(_PLAIN_LINE_S)
            console.print(report.line(), highlight=False, soft_wrap=True)
    with Live(report.panel(), console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(report.panel(), refresh=True)
            await asyncio.sleep(_REFRESH_S)
