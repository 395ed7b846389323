"""Hard stops on money and requests, over everything a workspace has spent."""

from dataclasses import dataclass

from schemas.errors import PolysceneError


class BudgetReached(PolysceneError):
    """`--max-usd` or `--max-requests` was reached."""


@dataclass(slots=True)
class Budget:
    """Hard stops over the whole workspace, and what is spent of them.

    Args:
        max_requests: None for no bound.
        max_usd: None for no bound.
        num_requests: Sent so far, repeats counted.
        cost_usd: Spent so far.
        num_paid: Replies that `cost_usd` covers.
    """

    max_requests: int | None = None
    max_usd: float | None = None
    num_requests: int = 0
    cost_usd: float = 0.0
    num_paid: int = 0

    def take(self, in_flight: int) -> None:
        """Counts one more request.

        Args:
            in_flight: Requests whose cost is not known yet.

        Raises:
            BudgetReached: It would go beyond a bound.
        """
        if self.max_requests is not None and self.num_requests >= self.max_requests:
            raise BudgetReached(
                f"stopped at --max-requests {self.max_requests}: that many were sent from this "
                "workspace. Run again with a higher number to go on."
            )
        if self.max_usd is not None:
            expected = self.cost_usd
            if self.num_paid:
                expected += max(0, in_flight - 1) * self.cost_usd / self.num_paid
            if expected >= self.max_usd:
                raise BudgetReached(
                    f"stopped at --max-usd {self.max_usd:g}: this workspace has spent "
                    f"${self.cost_usd:.4f}, requests in flight not counted. Run again with a "
                    "higher bound to go on."
                )
        self.num_requests += 1

    def pay(self, cost_usd: float | None) -> None:
        if cost_usd is not None:
            self.cost_usd += cost_usd
            self.num_paid += 1
