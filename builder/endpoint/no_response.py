"""Tells an endpoint that hangs from one that is slow, long before calls time out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from builder.endpoint.client import Endpoint
from builder.endpoint.health import LIST_TIMEOUT_S, DeadEndpoint, SendError
from builder.endpoint.pace import Pace
from builder.endpoint.stop import Stop


class NoResponseWatch:
    """Asks an endpoint that does not respond to any call for its list of models.

    A server that is busy with slow replies lists its models at once; one that
    hangs does not, and is given up. As long as it never answered a call, only
    status 200 shows that it works; later, any answer does, for not every server has
    such a list. A slow one is waited for, each call up to `timeout_s`.

    Args:
        endpoint: Whom to ask.
        pace: Knows how long there was no response; `no_response_timeout_s` of its
            configuration is how long that is put up with.
        stop: Set when the endpoint is given up.
        say: Tells people that a slow model is waited for.
        list_timeout_s: How long the list may take.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        pace: Pace,
        stop: Stop,
        say: Callable[[str], None],
        list_timeout_s: float = LIST_TIMEOUT_S,
    ) -> None:
        self._endpoint = endpoint
        self._pace = pace
        self._stop = stop
        self._say = say
        self._list_timeout_s = list_timeout_s
        self._patience_s = pace.config.no_response_timeout_s
        self._has_said = False

    async def run(self) -> None:
        """Watches until the endpoint is given up or the run stops."""
        alive_after_s = 0.0  # how long there was no response when it last proved to be alive
        while not self._stop.is_set:
            no_response_s = self._pace.no_response_s()
            if no_response_s < alive_after_s:
                alive_after_s = 0.0
            left_s = alive_after_s + self._patience_s - no_response_s
            if left_s > 0:
                await asyncio.sleep(min(left_s, self._patience_s / 4))
                continue
            trouble = await self._find_trouble()
            if trouble is not None and self._pace.no_response_s() >= no_response_s:
                self._stop.set(self._hangs(trouble))
                return
            alive_after_s = no_response_s

    async def _find_trouble(self) -> str | None:
        """What is wrong with the endpoint, if anything is."""
        try:
            status = await self._endpoint.list_models(self._list_timeout_s)
        except SendError as error:
            return f"does not list its models either ({error.message.rstrip('.')})"
        if status != 200 and self._pace.num_answers == 0:
            return f"has no list of models by which to tell that it is alive (status {status})"
        if not self._has_said:
            self._has_said = True
            self._say(
                f"{self._endpoint.address}: no answer for {self._patience_s:g} s, but it lists its "
                "models, so it is taken to be slow and waited for, each call up to `timeout_s`."
            )
        return None

    def _hangs(self, trouble: str) -> DeadEndpoint:
        return DeadEndpoint(
            f"gave up: {self._endpoint.address} has not responded to any call under way for "
            f"{self._pace.no_response_s():.0f} s, and {trouble}. Is it still loading its model? "
            "Run the same command again when it answers; a server that is only slow needs a "
            "higher `pace.no_response_timeout_s`. Nothing paid for is lost."
        )


@asynccontextmanager
async def watched(watches: Iterable[NoResponseWatch]) -> AsyncIterator[None]:
    """Watches while the block runs."""
    tasks = [asyncio.create_task(watch.run()) for watch in watches]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
