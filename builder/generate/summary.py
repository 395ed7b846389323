"""The closing summary: counts that add up, spend, shares wanted and reached."""

# C cells, L languages

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from builder.config import BuildConfig
from builder.generate.ledger import Ledger, Spent
from builder.plan.round import largest_shortfall
from builder.plan.shares import targets_of


@dataclass(frozen=True, slots=True)
class Summary:
    """What a workspace holds after a run.

    Args:
        num_jobs: Jobs with an outcome; the sum of the two below.
        num_kept: Samples.
        dropped: Dropped jobs by reason, the commonest first.
        num_wanted: Samples the configuration asks for.
        largest_gap: Largest distance between wanted and reached share of the
            whole, over languages and over cells.
        shortfall: How far the worst language or cell stays behind what is wanted of it.
        tolerance: What the configuration allows of either.
        languages: (kept, dropped) by language.
        spent: Requests, tokens and dollars.
        has_price: Whether dollars are known.
    """

    num_jobs: int
    num_kept: int
    dropped: dict[str, int]
    num_wanted: int
    largest_gap: float
    shortfall: float
    tolerance: float
    languages: dict[str, tuple[int, int]] = field(repr=False)
    spent: Spent
    has_price: bool

    @property
    def is_met(self) -> bool:
        """Whether every share lies within the tolerance."""
        return max(self.largest_gap, self.shortfall) <= self.tolerance


def summarise(config: BuildConfig, ledger: Ledger, *, has_price: bool) -> Summary:
    """Reads a summary from the ledger."""
    dropped = ledger.drop_counts()
    languages = ledger.language_counts()
    num_kept = sum(kept for kept, _ in languages.values())
    targets = targets_of(config)
    reached_CL = targets.counts(ledger.accepted_counts())  # type: ignore[arg-type]
    return Summary(
        num_jobs=num_kept + sum(dropped.values()),
        num_kept=num_kept,
        dropped=dropped,
        num_wanted=config.num_samples,
        largest_gap=largest_gap(targets.wanted_CL, reached_CL),
        shortfall=largest_shortfall(targets, reached_CL),
        tolerance=config.tolerance,
        languages=languages,
        spent=ledger.spent(),
        has_price=has_price,
    )


def largest_gap(wanted_CL: NDArray[np.int64], reached_CL: NDArray[np.int64]) -> float:
    """Largest distance between wanted and reached share, over both margins of the table."""
    wanted = wanted_CL / max(1, wanted_CL.sum())
    reached = reached_CL / max(1, reached_CL.sum())
    gaps_CL = wanted - reached
    return float(max(np.abs(gaps_CL.sum(axis=axis)).max(initial=0.0) for axis in (0, 1)))


def print_summary(summary: Summary, console: Console) -> None:
    """Prints the summary."""
    reasons = ", ".join(f"{reason} {num}" for reason, num in summary.dropped.items())
    num_dropped = summary.num_jobs - summary.num_kept
    console.print(
        f"generate: {summary.num_jobs} in, {summary.num_kept} kept, {num_dropped} dropped"
        + (f" ({reasons})" if reasons else ""),
        highlight=False,
        soft_wrap=True,
    )
    spent = summary.spent
    cost = f"${spent.cost_usd:.4f}" if summary.has_price else "price unknown"
    console.print(
        f"requests: {spent.num_requests} sent, {spent.num_replies} replies, "
        f"{spent.prompt_tokens} + {spent.completion_tokens} tokens, {cost}",
        highlight=False,
        soft_wrap=True,
    )
    met = "within" if summary.is_met else "beyond"
    console.print(
        f"shares: {summary.num_kept} of {summary.num_wanted} samples in "
        f"{len(summary.languages)} languages; largest gap in share "
        f"{summary.largest_gap:.2%}, worst shortfall {summary.shortfall:.2%}: {met} the tolerance "
        f"of {summary.tolerance:.2%}",
        highlight=False,
        soft_wrap=True,
    )
    worst = sorted(
        ((d / (k + d), code, k, d) for code, (k, d) in summary.languages.items() if d),
        reverse=True,
    )[:5]
    if worst:
        table = Table("language", "kept", "dropped", "share dropped", title="most dropped")
        for share, code, kept, dropped in worst:
            table.add_row(code, str(kept), str(dropped), f"{share:.1%}")
        console.print(table)
