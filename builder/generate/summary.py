"""The closing summary: counts that add up, spend, shares wanted and reached."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from builder.balance import Balance, balance_of, print_balance
from builder.config import BuildConfig
from builder.generate.ledger import Ledger
from builder.generate.records import Spent

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
        has_price: Whether dollars are known.
    """

    num_kept: int
    dropped: dict[str, int]
    languages: dict[str, tuple[int, int]]
    balance: Balance
    spent: Spent
    has_price: bool

    @property
    def num_jobs(self) -> int:
        """Jobs with an outcome: kept and dropped ones."""
        return self.num_kept + sum(self.dropped.values())


def summarise(config: BuildConfig, ledger: Ledger, *, has_price: bool) -> Summary:
    """Reads a summary from the ledger."""
    languages = ledger.language_counts()
    return Summary(
        num_kept=sum(kept for kept, _ in languages.values()),
        dropped=ledger.drop_counts(),
        languages=languages,
        balance=balance_of(config, ledger.path),
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
    cost = f"${spent.cost_usd:.4f}" if summary.has_price else "price unknown"
    if spent.num_estimated:
        cost += (
            f" (${spent.estimated_usd:.4f} of it estimated, for {spent.num_estimated} replies "
            "without `usage`)"
        )
    _say(
        console,
        f"requests: {spent.num_requests} sent, {spent.num_replies} replies, "
        f"{spent.prompt_tokens} + {spent.completion_tokens} tokens, {cost}",
    )
    reasons = ", ".join(f"{reason} {num}" for reason, num in summary.dropped.items())
    _say(
        console,
        f"build: {summary.num_jobs} in, {summary.num_kept} kept, "
        f"{summary.num_jobs - summary.num_kept} dropped" + (f" ({reasons})" if reasons else ""),
    )


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
