"""Asking several addresses of one model, each at its own pace: the least busy one that works."""

from collections.abc import Sequence
from dataclasses import dataclass

from builder.endpoint.pace import Pace
from builder.endpoint.requests import Request
from builder.endpoint.stop import Stop, Stopped
from builder.generate.live import GaveUp, LiveAsker
from builder.ledger.tables import StoredReply


@dataclass(frozen=True, slots=True)
class Replica:
    """One address: who asks it, how fast, and what ends it."""

    asker: LiveAsker
    pace: Pace
    stop: Stop


class ReplicaAsker:
    """Asks the least busy replica; one that is given up hands its requests to the others.

    Args:
        run: Stops when the last replica is given up.
        replicas: At least one.
    """

    can_buy = True

    def __init__(self, run: Stop, replicas: Sequence[Replica]) -> None:
        self._run = run
        self._replicas = replicas

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | GaveUp | None:
        while True:
            self._run.check()
            live = [one for one in self._replicas if not one.stop.is_set]
            replica = min(live, key=lambda one: one.pace.load)
            try:
                reply = await replica.asker.ask(request, urgent=urgent)
                if not (isinstance(reply, GaveUp) and replica.stop.is_set):
                    return reply
            except Stopped:
                pass
            self._run.check()
            for one in self._replicas:
                one.asker.look_requests_up()
            urgent = True
