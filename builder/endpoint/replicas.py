"""Several addresses of one model: one that is given up ends no run while another works."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from builder.endpoint.health import GRACE_S, EndpointError, SendError
from builder.endpoint.stop import Stop
from schemas.errors import PolysceneError

T = TypeVar("T")


class ReplicaStop(Stop):
    """Ends what is sent to one address; ends the run where it was the last one.

    Args:
        run: Of the run; when it is set, so is this one.
        address: Of the replica.
        siblings: All replicas of the model, which this one joins.
        say: Tells people that a replica was given up.
        grace_s: How long calls under way to one that was given up may still take.
    """

    def __init__(
        self,
        run: Stop,
        address: str,
        siblings: list["ReplicaStop"],
        say: Callable[[str], None],
        grace_s: float = GRACE_S,
    ) -> None:
        super().__init__()
        self._run = run
        self._address = address
        self._siblings = siblings
        self._say = say
        self._grace_s = grace_s
        siblings.append(self)
        run.children.append(self)

    def set(self, error: PolysceneError | None = None, *, may_collect: bool = False) -> None:
        """Gives the replica up for what is wrong with an endpoint; stops the run for all else."""
        if self._run.is_set:
            super().set(error, may_collect=may_collect)
            return
        if not isinstance(error, EndpointError):
            self._run.set(error, may_collect=may_collect)
            return
        if self.is_set:
            return
        left = [one for one in self._siblings if one is not self and not one.is_set]
        if not left:
            self._run.set(error, may_collect=may_collect)
            return
        others = "the other replica" if len(left) == 1 else f"the other {len(left)} replicas"
        self._say(f"{self._address}: given up, its requests go to {others}. {error}")
        super().set(error)

    async def while_useful(self, call: Awaitable[T]) -> T:
        """Waits for a call under way; one to a replica that was given up only for a while.

        Raises:
            SendError: The replica was given up and has not answered.
        """
        task = asyncio.ensure_future(call)
        try:
            left_s = self._grace_s
            while not task.done() and left_s > 0:
                await asyncio.wait([task], timeout=min(1.0, self._grace_s / 4))
                if self.is_set and not self._run.is_set:
                    left_s -= min(1.0, self._grace_s / 4)
            if task.done():
                return await task
        finally:
            task.cancel()
        raise SendError("trouble", "given_up", f"{self._address} was given up.")
