"""Counts of a run: what is shown while it goes on, and the summary at its end."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from builder.balance import Balance, balance_of, print_balance
from builder.config import BuildConfig
from builder.cost.budget import Budget
from builder.cost.spent_words import cost_words, possibly_billed
from builder.endpoint.completion import Usage
from builder.endpoint.pace import Pace
from builder.generate.giving_up import shortfall_of
from builder.ledger.ledger import Ledger
from builder.ledger.tables import Spent

_REFRESH_S = 0.5
_PLAIN_LINE_S = 15.0
#: Jobs per second are counted over this long.
_RATE_WINDOW_S = 30.0
_LANGUAGES_IN_LINE = 3
_LANGUAGES_IN_PANEL = 5


@dataclass(slots=True)
class RunCounts:
    """Counts of one run; earlier runs of the workspace are not in it.

    Args:
        num_planned: Jobs of the round that were still open when it began.
        num_kept: Jobs that became samples.
        dropped: Dropped jobs by reason.
        kept_by_language: Kept samples by language.
        dropped_by_language: Dropped jobs by language.
        num_replies: Replies read, those of corrections and judges among them.
    """

    round: int = 0
    num_planned: int = 0
    num_done_in_round: int = 0
    num_kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    kept_by_language: Counter[str] = field(default_factory=Counter)
    dropped_by_language: Counter[str] = field(default_factory=Counter)
    num_replies: int = 0
    num_corrections: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def num_done(self) -> int:
        return self.num_kept + self.dropped.total()

    def begin_round(self, round_: int, num_planned: int) -> None:
        self.round = round_
        self.num_planned = num_planned
        self.num_done_in_round = 0

    def add_reply(self, usage: Usage, cost_usd: float | None) -> None:
        """Counts a reply."""
        self.num_replies += 1
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.cost_usd += cost_usd or 0.0

    def keep(self, language: str) -> None:
        self.num_kept += 1
        self.num_done_in_round += 1
        self.kept_by_language[language] += 1

    def drop(self, language: str, reason: str) -> None:
        self.dropped[reason] += 1
        self.num_done_in_round += 1
        self.dropped_by_language[language] += 1

    def as_json(self, seconds: float) -> dict[str, float]:
        """What this run did in so many seconds, and its pace."""
        return {
            "seconds": round(seconds, 3),
            "kept": self.num_kept,
            "dropped": self.dropped.total(),
            "replies": self.num_replies,
            "corrections": self.num_corrections,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_usd": round(self.cost_usd, 6),
            "jobs_per_s": round(self.num_done / seconds, 3) if seconds > 0 else 0.0,
        }

    def worst_languages(self, num: int = 5) -> list[tuple[str, float]]:
        """Languages with the largest share of dropped jobs, the worst first."""
        shares = [
            (language, dropped / (dropped + self.kept_by_language[language]))
            for language, dropped in self.dropped_by_language.items()
        ]
        return sorted(shares, key=lambda entry: (-entry[1], entry[0]))[:num]


class Report:
    """Renders the counts of a run.

    Args:
        counts: What is counted.
        paces: Requests in flight, at each address.
        budget: Dollars of the whole workspace.
        has_price: Whether the price of every model is known.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        counts: RunCounts,
        paces: Sequence[Pace],
        budget: Budget,
        *,
        has_price: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts = counts
        self._paces = paces
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
        counts = self._counts
        done = f"{counts.num_done_in_round}/{counts.num_planned}"
        worst = self._worst(_LANGUAGES_IN_LINE)
        return f"round {counts.round}: {done} jobs{self._eta()}; {self._facts()}" + (
            f" · most dropped: {worst}" if worst else ""
        )

    def panel(self) -> Group:
        """The live display: a bar and two lines."""
        counts = self._counts
        self._bar.update(
            self._task,
            total=counts.num_planned or None,
            completed=counts.num_done_in_round,
            round=counts.round,
            eta=self._eta().removeprefix(", "),
        )
        worst = self._worst(_LANGUAGES_IN_PANEL) or "none"
        return Group(self._bar, Text(self._facts()), Text(f"dropped by language: {worst}"))

    def _worst(self, num: int) -> str:
        """Languages with the largest share of dropped jobs; empty where nothing was dropped."""
        worst = self._counts.worst_languages(num)
        return ", ".join(f"{code} {share:.0%}" for code, share in worst)

    def _rate(self) -> float:
        now, done = self._clock(), self._counts.num_done
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        return (done - before) / (now - then) if now > then else 0.0

    def _eta(self) -> str:
        rate = self._rate()
        left = self._counts.num_planned - self._counts.num_done_in_round
        if rate <= 0 or left <= 0:
            return ""
        minutes, seconds = divmod(int(left / rate), 60)
        hours, minutes = divmod(minutes, 60)
        return f", {hours}:{minutes:02}:{seconds:02} left"

    def _facts(self) -> str:
        counts = self._counts
        dropped = counts.dropped.total()
        spent = f"${self._budget.cost_usd:.4f}"
        if not self._has_price:
            is_partly_known = self._budget.cost_usd > 0
            spent = f"{spent} and an unknown price" if is_partly_known else "price unknown"
        if self._budget.num_estimated:
            spent += f" ({self._budget.num_estimated} replies without usage estimated)"
        failed = sum(pace.failures.total() for pace in self._paces)
        num_in_flight = sum(pace.in_flight for pace in self._paces)
        limit = sum(int(pace.limit) for pace in self._paces)
        return (
            f"{self._rate():.1f}/s · kept {counts.num_kept} · dropped {dropped} · "
            f"in flight {num_in_flight}/{limit} · "
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


_LANGUAGES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """What a workspace holds after a run.

    Args:
        num_kept: Samples.
        dropped: Dropped jobs by reason, the commonest first.
        languages: (kept, dropped) by language.
        balance: Shares wanted and reached.
        spent: Requests, tokens and dollars.
        has_price: Whether the price of every model is known.
        shortfall: What is missing after a build that went to its end, why, and what to do; None
            where the shares are met.
    """

    num_kept: int
    dropped: dict[str, int]
    languages: dict[str, tuple[int, int]]
    balance: Balance
    spent: Spent
    has_price: bool
    shortfall: str | None = None

    @property
    def num_jobs(self) -> int:
        """Jobs with an outcome: kept and dropped ones."""
        return self.num_kept + sum(self.dropped.values())


def summarise(
    config: BuildConfig, ledger: Ledger, *, has_price: bool, is_over: bool = False
) -> Summary:
    """Reads a summary from the ledger.

    Args:
        config: The build.
        ledger: What became of it.
        has_price: Whether the price of every model is known.
        is_over: Whether the build went to its end, so that what is missing stays missing.
    """
    balance = balance_of(config, ledger)
    languages = ledger.language_counts()
    return Summary(
        num_kept=sum(kept for kept, _ in languages.values()),
        dropped=ledger.drop_counts(),
        languages=languages,
        balance=balance,
        shortfall=shortfall_of(config, ledger, balance) if is_over else None,
        spent=ledger.spent(),
        has_price=has_price,
    )


def print_summary(summary: Summary, console: Console) -> None:
    """Prints the summary, the counts last."""
    print_balance(summary.balance, console)
    worst = sorted(
        ((d / (k + d), code, k, d) for code, (k, d) in summary.languages.items() if d),
        reverse=True,
    )[:_LANGUAGES_SHOWN]
    if worst:
        table = Table("language", "kept", "dropped", "share dropped", title="Most dropped")
        for share, code, kept, dropped in worst:
            table.add_row(code, str(kept), str(dropped), f"{share:.1%}")
        console.print(table)
    spent = summary.spent
    _say(
        console,
        f"requests: {spent.num_requests} sent, {spent.num_replies} replies, "
        f"{spent.prompt_tokens} + {spent.completion_tokens} tokens, "
        f"{cost_words(spent, has_price=summary.has_price)}",
    )
    for sentence in possibly_billed(spent):
        _say(console, sentence)
    reasons = ", ".join(f"{reason} {num}" for reason, num in summary.dropped.items())
    _say(
        console,
        f"build: {summary.num_jobs} in, {summary.num_kept} kept, "
        f"{summary.num_jobs - summary.num_kept} dropped" + (f" ({reasons})" if reasons else ""),
    )
    if summary.shortfall is not None:
        _say(console, summary.shortfall)


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
