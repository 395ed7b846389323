"""Sends probes to a live endpoint: counted, paid and written down like any other request."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from builder.cost.price import Price
from builder.endpoint.client import Endpoint
from builder.endpoint.completion import read_completion
from builder.endpoint.health import EndpointError, SendError
from builder.endpoint.pace import Pace
from builder.endpoint.requests import Form, Request, RequestFactory
from builder.endpoint.stop import Stopped
from builder.generate.run_context import RunContext

#: A probe that fails is sent this often.
_MAX_TRIES = 3
#: Sets the most a request can cost aside.
Reserve = Callable[[Request, bool], Awaitable[float | None]]


class Prober:
    """Sends a request in other forms, to see which are accepted.

    Args:
        run: The run it is part of.
        endpoint: Where to send.
        factory: Makes bodies.
        pace: Shared by all that send to this endpoint.
        price: Of the model, if it is known.
        reserve: Waits until the budget has room for one more.
    """

    def __init__(
        self,
        run: RunContext,
        endpoint: Endpoint,
        factory: RequestFactory,
        pace: Pace,
        price: Price | None,
        reserve: Reserve,
    ) -> None:
        self._run = run
        self._endpoint = endpoint
        self._factory = factory
        self._pace = pace
        self._price = price
        self._reserve = reserve
        #: The error that the latest refused probe brought.
        self.last_refusal: SendError | None = None

    async def ask(self, request: Request, form: Form | None) -> bool | None:
        """Whether a form of the request is accepted; None where it failed for other reasons.

        Args:
            request: The request.
            form: How it is sent; None for the shortest request there is.

        Raises:
            Stopped: The run is stopping.
        """
        body = self._factory.hello() if form is None else self._factory.probe(request, form)
        request_id = self._run.writer.take_request_id()
        name = f"probe {request_id} {request.key}"
        probe = replace(request, key=hashlib.sha256(name.encode()).hexdigest(), kind="probe")
        for num_failures in range(1, _MAX_TRIES + 1):
            error = await self._send(probe, request_id, body, is_first=num_failures == 1)
            if error is None:
                return True
            if error.kind in {"refused", "forbidden"}:
                self.last_refusal = error
                return False
            await self._run.stop.sleep(self._pace.backoff_s(num_failures))
        return None

    async def _send(
        self, probe: Request, request_id: int, body: bytes, *, is_first: bool
    ) -> SendError | None:
        sent_at = await self._pace.enter(urgent=True)
        writer, budget = self._run.writer, self._run.budget
        try:
            most_usd = await self._reserve(probe, True)
            if is_first:
                writer.prompt(probe.prompt_hash, probe.system)
                writer.request(probe.record(request_id, most_usd=most_usd))
            else:
                writer.resent(probe.key, most_usd=most_usd)
            await writer.flush()
            answer = await self._endpoint.send(body)
        except SendError as error:
            if error.may_be_billed:
                budget.forfeit(probe.key)
                writer.unanswered(probe.key, error.message)
            else:
                budget.release(probe.key)
                writer.failed(probe.key, error.message)
            self._count_failure(error, sent_at)
            return error
        finally:
            self._pace.leave()
        self._pace.answered()
        writer.reply(request_id, 200, answer.body)
        self._count_cost(probe, request_id, answer.body)
        await writer.flush()
        return None

    def _count_failure(self, error: SendError, sent_at: float) -> None:
        if error.kind in {"refused", "forbidden"}:
            self._pace.refused(error)
            return
        try:
            if error.kind == "fatal":
                raise EndpointError(error.message + " Nothing paid for is lost.")
            self._pace.failed(error, sent_at)
        except EndpointError as hopeless:
            self._run.stop.set(hopeless)
            raise Stopped from hopeless

    def _count_cost(self, probe: Request, request_id: int, body: bytes) -> None:
        usage = read_completion(body).usage
        cost_usd = self._price.cost_usd(usage) if self._price else None
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        self._run.writer.usage(request_id, *tokens, cost_usd)
        self._run.budget.charge(probe.key, cost_usd)
        self._run.counts.add_reply(usage, cost_usd)
