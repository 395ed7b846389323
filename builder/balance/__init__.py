"""What was reached and what is missing: SQL over the outcomes, and its report."""

from builder.balance.report import Balance, balance_of, print_balance, surplus_jobs
from builder.ledger.arrow import read_outcomes

__all__ = [
    "Balance",
    "balance_of",
    "print_balance",
    "read_outcomes",
    "surplus_jobs",
]
