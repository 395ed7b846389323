"""Hard stops on money and requests, over everything a workspace has spent."""

from dataclasses import dataclass, field

from schemas.errors import PolysceneError


class BudgetReached(PolysceneError):
    """`--max-usd` or `--max-requests` was reached."""


@dataclass(slots=True)
class Budget:
    """Hard stops over the whole workspace, and what is spent of them.

    The most a call can cost is set aside before it is sent, and is replaced by
    what it did cost when its reply is read: what is spent and what is set
    aside never go beyond `max_usd` together. Where a call costs more than
    was set aside for it, more is set aside for later ones, in that
    proportion.

    Args:
        max_requests: None for no limit.
        max_usd: None for no limit.
        num_requests: Sent so far, repeats counted.
        cost_usd: Spent so far, estimates included.
        num_estimated: Replies without `usage`.
        estimated_usd: What they were estimated to cost.
        num_killed: Calls under way when an earlier run was killed.
        killed_usd: The most they can have cost.
        num_unanswered: Calls that were cut off after they were sent.
        unanswered_usd: The most they can have cost.
    """

    max_requests: int | None = None
    max_usd: float | None = None
    num_requests: int = 0
    cost_usd: float = 0.0
    num_estimated: int = 0
    estimated_usd: float = 0.0
    num_killed: int = 0
    killed_usd: float = 0.0
    num_unanswered: int = 0
    unanswered_usd: float = 0.0
    #: Calls of jobs under way that wait for room.
    num_urgent: int = field(default=0, init=False)
    _reserved: dict[str, float] = field(default_factory=dict, init=False)
    _reserved_usd: float = field(default=0.0, init=False)
    _factor: float = field(default=1.0, init=False)

    @property
    def reserved_usd(self) -> float:
        """Set aside for calls under way."""
        return self._reserved_usd

    @property
    def may_free_up(self) -> bool:
        """Whether calls under way may leave room for more when their costs are known."""
        return bool(self._reserved) and not self._is_last_request_sent

    def reserve(self, key: str, most_usd: float) -> bool:
        """Counts one more call and sets its cost aside, where both are within their limits.

        Args:
            key: The request's.
            most_usd: The most it can cost.

        Returns:
            Whether it may be sent.
        """
        if self._is_last_request_sent:
            return False
        if self.max_usd is not None:
            set_aside = most_usd * self._factor
            self.release(key)
            if self._committed_usd + set_aside > self.max_usd:
                return False
            self._reserved[key] = set_aside
            self._reserved_usd += set_aside
        self.num_requests += 1
        return True

    def hold(self, key: str, most_usd: float) -> None:
        """Sets aside what a reply can have cost that came before this run and is not counted."""
        if self.max_usd is not None:
            self._reserved[key] = most_usd
            self._reserved_usd += most_usd

    def charge(self, key: str, cost_usd: float | None, *, is_estimate: bool = False) -> None:
        """Counts what a reply cost, instead of what was set aside for it, if anything was.

        Args:
            key: The request's.
            cost_usd: None where no price is known.
            is_estimate: Whether the endpoint did not say how many tokens were used.
        """
        set_aside = self.release(key)
        if cost_usd is None:
            return
        self.cost_usd += cost_usd
        if set_aside and cost_usd > set_aside:
            self._factor *= cost_usd / set_aside
        if is_estimate:
            self.num_estimated += 1
            self.estimated_usd += cost_usd

    def release(self, key: str) -> float:
        """Gives back what was set aside for a call that cost nothing; returns how much that was."""
        set_aside = self._reserved.pop(key, 0.0)
        self._reserved_usd = self._reserved_usd - set_aside if self._reserved else 0.0
        return set_aside

    def forfeit(self, key: str) -> None:
        """Counts a call without an answer at the most it can have cost: it may have been billed."""
        self.num_unanswered += 1
        self.unanswered_usd += self.release(key)

    def reached(self, most_usd: float) -> BudgetReached:
        """Why `reserve` has no room for a call that can cost `most_usd`."""
        if self._is_last_request_sent:
            return BudgetReached(
                f"stopped at --max-requests {self.max_requests}: that many were sent from this "
                "workspace. Run again with a higher number to go on."
            )
        said = f"stopped at --max-usd {self.max_usd:g}: this workspace has spent "
        said += f"${self.cost_usd:.4f}"
        if self.num_estimated:
            said += (
                f" (${self.estimated_usd:.4f} of it estimated, for {self.num_estimated} replies "
                "without `usage`)"
            )
        if self.unanswered_usd:
            said += f", ${self.unanswered_usd:.4f} may be billed for calls without an answer"
        if self.killed_usd:
            said += (
                f", up to ${self.killed_usd:.4f} may have been billed for {self.num_killed} "
                "requests in flight when a run was killed"
            )
        return BudgetReached(
            f"{said}, ${self.reserved_usd:.4f} is set aside for calls under way, and the next one "
            f"can cost ${most_usd * self._factor:.4f}. Run again with a higher limit to go on."
        )

    @property
    def _committed_usd(self) -> float:
        return self.cost_usd + self.unanswered_usd + self.killed_usd + self._reserved_usd

    @property
    def _is_last_request_sent(self) -> bool:
        return self.max_requests is not None and self.num_requests >= self.max_requests
