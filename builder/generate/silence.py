"""Tells an endpoint that hangs from one that is slow, long before calls time out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from builder.generate.client import DeadEndpoint, Endpoint, SendError
from builder.generate.pace import Pace
from schemas.errors import PolysceneError

#: How long the list of models may take; with the silence before, and the grace for calls in
#: flight after, an endpoint that hangs is given up within a minute.
LIST_TIMEOUT_S = 8.0


class SilenceWatch:
    """Asks an endpoint that says nothing about any call for its list of models.

    A server that is busy with slow replies lists its models at once; one that
    hangs does not, and is given up. As long as it never answered a call, only
    status 200 speaks for it; later, any answer does, for not every server has
    such a list. A slow one is waited for, each call up to `timeout_s`.

    Args:
        endpoint: Whom to ask.
        pace: Knows how long nothing was heard; its `silence_s` is borne.
        say: Tells people that a slow model is waited for.
        stop: Called with an error when the endpoint is given up.
        list_timeout_s: How long the list may take.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        pace: Pace,
        *,
        say: Callable[[str], None],
        stop: Callable[[PolysceneError], None],
        list_timeout_s: float = LIST_TIMEOUT_S,
    ) -> None:
        self._endpoint = endpoint
        self._pace = pace
        self._silence_s = pace.config.silence_s
        self._say = say
        self._stop = stop
        self._list_timeout_s = list_timeout_s
        self._has_said = False

    async def run(self) -> None:
        """Watches until the endpoint is given up or the run drains."""
        alive_after_s = 0.0  # so long into this silence it was last found alive
        while not self._pace.stopping:
            silent_s = self._pace.silent_s()
            if silent_s < alive_after_s:
                alive_after_s = 0.0
            left_s = alive_after_s + self._silence_s - silent_s
            if left_s > 0:
                await asyncio.sleep(min(left_s, self._silence_s / 4))
                continue
            trouble = await self._look()
            if trouble is not None and self._pace.silent_s() >= silent_s:
                self._stop(self._hung(trouble))
                return
            alive_after_s = silent_s

    async def _look(self) -> str | None:
        """What is wrong with the endpoint, if anything is."""
        try:
            status = await self._endpoint.look(self._list_timeout_s)
        except SendError as error:
            return f"does not list its models either ({error.message.rstrip('.')})"
        if status != 200 and self._pace.num_answers == 0:
            return f"has no list of models by which to tell that it is alive (status {status})"
        if not self._has_said:
            self._has_said = True
            self._say(
                f"{self._endpoint.address}: no answer for {self._silence_s:g} s, but it lists its "
                "models, so it is taken to be slow and waited for, each call up to `timeout_s`."
            )
        return None

    def _hung(self, trouble: str) -> DeadEndpoint:
        return DeadEndpoint(
            f"gave up: {self._endpoint.address} has been silent for {self._pace.silent_s():.0f} s "
            f"about every call under way, and {trouble}. Is it still loading its model? Run the "
            "same command again when it answers; a server that is only slow needs a higher "
            "`pace.silence_s`. Nothing paid for is lost."
        )


@asynccontextmanager
async def watched(watches: Iterable[SilenceWatch]) -> AsyncIterator[None]:
    """Watches while the block runs."""
    tasks = [asyncio.create_task(watch.run()) for watch in watches]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
