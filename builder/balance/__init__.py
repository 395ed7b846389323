"""What was reached and what is missing: SQL over the outcomes, and its report."""

from builder.balance.report import (
    Balance,
    balance_of,
    base_of,
    print_balance,
    surplus_jobs,
    wanted_targets,
)
from builder.ledger.arrow import read_outcomes

__all__ = [
    "Balance",
    "balance_of",
    "base_of",
    "print_balance",
    "read_outcomes",
    "surplus_jobs",
    "wanted_targets",
]
