"""What was spent, in words: what is known, what is estimated, what may have been billed unseen."""

from builder.ledger.tables import Spent


def cost_words(spent: Spent, *, has_price: bool) -> str:
    """What the counted replies cost.

    Args:
        spent: What the workspace has spent.
        has_price: Whether the price of every model is known.
    """
    if not spent.cost_usd and (spent.num_unpriced or not has_price):
        return "price unknown"
    words = f"${spent.cost_usd:.4f}"
    if spent.num_estimated:
        words += (
            f" (${spent.estimated_usd:.4f} of it estimated, for {spent.num_estimated} replies "
            "without `usage`)"
        )
    if spent.num_unpriced:
        words += f" and {spent.num_unpriced} replies at an unknown price"
    return words


def possibly_billed(spent: Spent) -> list[str]:
    """A sentence for each kind of sending of which nobody knows whether it was billed."""
    kinds = (
        (spent.num_killed, spent.killed_usd, "were in flight when a run was killed"),
        (
            spent.num_unanswered,
            spent.unanswered_usd,
            "were cut off after they were sent (no answer in time, or the connection was lost)",
        ),
    )
    return [
        f"{num} requests {what}: {_most(usd)}; that counts against --max-usd, and is not in the "
        "cost above."
        for num, usd, what in kinds
        if num
    ]


def _most(usd: float) -> str:
    if not usd:
        return "they may have been billed, at an unknown price"
    return f"up to ${usd:.4f} may have been billed"
