"""What all parts of one run share."""

from collections.abc import Callable
from dataclasses import dataclass

from builder.cost.budget import Budget
from builder.endpoint.stop import Stop
from builder.generate.progress import RunCounts
from builder.ledger.ledger import Ledger
from builder.ledger.writer import LedgerWriter


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all parts of one run share.

    Args:
        ledger: What was written down, by this run and by earlier ones.
        writer: Writes it down.
        budget: What is spent of the limits, whoever spends it.
        counts: What this run did.
        stop: Ends the run early, and says why.
        say: Tells people what happens, a line at a time.
    """

    ledger: Ledger
    writer: LedgerWriter
    budget: Budget
    counts: RunCounts
    stop: Stop
    say: Callable[[str], None]
