"""Asking a live endpoint: a request is on disk before it is sent, its reply before it is read."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Protocol

from builder.cost.price import Price
from builder.cost.upper_bound import CostUpperBound
from builder.endpoint.capabilities import (
    Capabilities,
    LearnedCapabilities,
    capabilities_name,
    remembered_capabilities,
    write_capabilities,
)
from builder.endpoint.client import Endpoint
from builder.endpoint.health import (
    MAX_FAILING_REQUESTS,
    MAX_FORBIDDEN_REQUESTS,
    PUSHBACKS_PER_ATTEMPT,
    EndpointError,
    SendError,
)
from builder.endpoint.pace import Pace
from builder.endpoint.requests import Request, RequestFactory
from builder.endpoint.stop import Stopped
from builder.generate.prober import Prober
from builder.generate.refusals import RefusalCount, Refusals, Settings
from builder.generate.run_context import RunContext
from builder.ledger.ledger import Ledger
from builder.ledger.tables import StoredReply

_log = logging.getLogger(__name__)

#: How often a request looks whether others have left room in the budget.
_ROOM_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A request that brought no reply however often it was sent; nothing was paid."""

    reason: str


class Asker(Protocol):
    """Where replies come from; `can_buy` says whether it ever sends anything."""

    can_buy: bool

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | GaveUp | None:
        """The reply to a request, from the ledger or bought; None leaves the job open.

        Raises:
            Stopped: The run is stopping.
        """
        ...


class StoredReplies:
    """Replies in the ledger, and no others."""

    can_buy = False

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | None:
        await asyncio.sleep(0)  # lets the writer run
        return self._ledger.find_reply(request.key)


class LiveAsker:
    """Asks an endpoint, each request until it has a reply or none can be had.

    Args:
        run: The run it is part of.
        endpoint: Where to send.
        factory: Makes bodies.
        pace: Shared by all that send to this endpoint.
        upper_bound: The most a request can cost; None where no price is known.
        price: What probes cost; None where it is not known.
        settings: Of the configuration, to be named where a request is refused.
    """

    can_buy = True

    def __init__(
        self,
        run: RunContext,
        endpoint: Endpoint,
        factory: RequestFactory,
        pace: Pace,
        upper_bound: CostUpperBound | None,
        price: Price | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._ledger = run.ledger
        self._writer = run.writer
        self._budget = run.budget
        self._stop = run.stop
        self._endpoint = endpoint
        self._factory = factory
        self._pace = pace
        self._upper_bound = upper_bound
        wanted = factory.teacher.structured_output
        self._capabilities_name = capabilities_name(endpoint, wanted)
        known = remembered_capabilities(run.ledger, self._capabilities_name, wanted)
        self._capabilities = LearnedCapabilities(wanted, known, self._remember)
        self._settings = settings or Settings()
        prober = Prober(run, endpoint, factory, pace, price, self._reserve)
        self._refusals = Refusals(
            endpoint, factory, pace, run.stop, prober, self._capabilities, self._settings
        )
        # Requests of a new round are not in the ledger, so looking each up would be wasted time: it
        # is done only where an earlier run was cut off.
        self._has_leftovers = run.ledger.has_leftovers()
        self._has_replies = run.ledger.spent().num_replies > 0
        self._num_failing = 0
        self._forbidden: set[str] = set()
        self._answered_sent_at = float("-inf")
        self._prompts: set[str] = set()
        self._max_attempts = pace.config.max_attempts

    def look_requests_up(self) -> None:
        """From now on, requests may be in the ledger: another replica was given up with some."""
        self._has_leftovers = True

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | GaveUp | None:
        request_id = None
        if self._has_leftovers:
            stored = self._ledger.find_reply(request.key)
            if stored is not None:
                return stored
            request_id = self._ledger.find_request(request.key)
        attempts = _Attempts()
        try:
            while True:
                call = await self._send_once(request, request_id, attempts, urgent)
                # It has waited its turn: when it is sent again, it goes before new jobs.
                request_id, urgent = call.request_id, True
                if call.body is not None:
                    return await self._keep(request_id, 200, call.body)
                assert call.error is not None
                if call.error.kind == "refused":
                    if await self._is_refused(request, call, attempts, call.error):
                        return await self._keep(request_id, call.error.status, call.error.body)
                    continue
                if self._is_hopeless(attempts, call.error):
                    if call.error.kind == "forbidden":
                        return await self._keep(request_id, call.error.status, call.error.body)
                    self._writer.failed(request.key, call.error.message)
                    return GaveUp(call.error.what)
                await self._stop.sleep(self._pace.backoff_s(attempts.num_sent))
        finally:
            self._num_failing -= attempts.has_failed

    async def _is_refused(
        self, request: Request, call: "_Call", attempts: "_Attempts", error: SendError
    ) -> bool:
        """Whether a refused request is given up; else it is asked again, maybe in another form."""
        await self._writer.flush()  # or it might be noted as failed after it is sent again
        refusals = attempts.refusals
        refusals.last_sent_at = call.sent_at
        return await self._refusals.is_final(request, call.asked_with, refusals, error)

    def _is_hopeless(self, attempts: "_Attempts", error: SendError) -> bool:
        """Whether a failure is the request's own, so that sending it again is no use.

        The question is always: does the endpoint work for others meanwhile? If it does, the
        request is to blame; if it does not, the endpoint is, and the request waits.
        """
        works = self._pace.last_answer_at >= attempts.first_sent_at
        if error.kind == "forbidden":
            # A key may lose its rights while calls are in flight, so answers to calls that were
            # sent earlier prove nothing.
            works = self._answered_sent_at > attempts.first_sent_at
            if works:
                return True
        tries = attempts.num_failures + attempts.num_pushbacks // PUSHBACKS_PER_ATTEMPT
        if tries < self._max_attempts:
            return False
        # What was answered before an outage began says nothing of the tries that fell into it.
        works_still = self._pace.last_answer_at >= attempts.failed_before_at
        return works_still or self._only_few_fail(error)

    def _only_few_fail(self, error: SendError) -> bool:
        """Whether an endpoint that has worked answers a few requests with errors.

        So it is with the last requests of a round, when no other can show that it works.
        """
        has_worked = self._has_replies or self._pace.num_answers > 0
        return has_worked and error.status > 0 and self._num_failing <= MAX_FAILING_REQUESTS

    async def _send_once(
        self, request: Request, request_id: int | None, attempts: "_Attempts", urgent: bool
    ) -> "_Call":
        """One call, from waiting for a place to its answer or error."""
        sent_at = await self._enter(urgent)
        try:
            most_usd = await self._reserve(request, urgent)
            capabilities = self._capabilities.now.lowered_to(attempts.refusals.capabilities)
            asked_with = request.ask_with(capabilities)
            body = self._factory.body(request, asked_with)
            request_id = await self._write_down(request, request_id, most_usd)
            try:
                answer = await self._stop.while_useful(self._endpoint.send(body))
            except SendError as error:
                self._give_back(request, error)
                if error.kind == "refused":
                    self._pace.refused(error)
                    return _Call(request_id, asked_with, sent_at, error=error)
                self._num_failing += attempts.fail(error, sent_at, self._pace.now())
                self._report_failure(request, attempts, error, sent_at)
                return _Call(request_id, asked_with, sent_at, error=error)
            self._pace.answered()
            self._refusals.note_answer(request, asked_with)
            self._answered_sent_at = max(self._answered_sent_at, sent_at)
            return _Call(request_id, asked_with, sent_at, body=answer.body)
        finally:
            self._pace.leave()

    async def _enter(self, urgent: bool) -> float:
        """Waits for a place; while probes find out how to ask, nothing else is sent."""
        while True:
            sent_at = await self._pace.enter(urgent=urgent)
            if not self._refusals.holds_others:
                return sent_at
            self._pace.leave()
            await self._refusals.wait_for_probes()

    async def _reserve(self, request: Request, urgent: bool) -> float | None:
        """Sets the most a request can cost aside, waiting for calls under way to leave room.

        What a job needs to be finished goes before new jobs, or an expensive judge would wait
        until cheap samples have used all room up.

        Returns:
            The most it can cost; None where no price is known.

        Raises:
            Stopped: There is no room, or the run is stopping.
        """
        known = self._upper_bound.usd(request) if self._upper_bound is not None else None
        most_usd = known or 0.0
        self._budget.num_urgent += urgent
        try:
            while True:
                gives_way = self._budget.num_urgent > 0 and not urgent
                if not gives_way and self._budget.reserve(request.key, most_usd):
                    return known
                if not gives_way and not self._budget.may_free_up:
                    reached = self._budget.reached(most_usd)
                    self._stop.set(reached, may_collect=True)
                    raise Stopped from reached
                await self._stop.sleep(_ROOM_POLL_S)
        finally:
            self._budget.num_urgent -= urgent

    def _give_back(self, request: Request, error: SendError) -> None:
        """Frees what was set aside for a call that failed, unless it may have been billed."""
        if error.may_be_billed:
            self._budget.forfeit(request.key)
            self._writer.unanswered(request.key, error.message)
        else:
            self._budget.release(request.key)
            self._writer.failed(request.key, error.message)

    async def _write_down(
        self, request: Request, request_id: int | None, most_usd: float | None
    ) -> int:
        """Commits a request, or one more sending of it, before it is sent; returns its id."""
        if request_id is not None:
            self._writer.resent(request.key, most_usd=most_usd)
            await self._writer.flush()
            return request_id
        if request.prompt_hash not in self._prompts:
            self._prompts.add(request.prompt_hash)
            self._writer.prompt(request.prompt_hash, request.system)
        request_id = self._writer.take_request_id()
        self._writer.request(request.record(request_id, most_usd=most_usd))
        await self._writer.flush()
        return request_id

    async def _keep(self, request_id: int, status: int, body: bytes) -> StoredReply:
        """Commits a raw reply; it is parsed only after that."""
        self._writer.reply(request_id, status, body)
        await self._writer.flush()
        return StoredReply(request_id, status, body)

    def _report_failure(
        self, request: Request, attempts: "_Attempts", error: SendError, sent_at: float
    ) -> None:
        """Counts a failure against the endpoint; stops the run where no request can succeed."""
        forbids_all = error.kind == "forbidden" and self._forbids_all(request, attempts)
        if error.kind == "fatal" or forbids_all:
            self._stop.set(EndpointError(error.message + " Nothing paid for is lost."))
            raise Stopped from error
        is_open = error.kind == "forbidden" and self._pace.num_answers == 0
        others_will_tell = is_open and self._pace.in_flight > 1
        may_break = not others_will_tell and not self._only_few_fail(error)
        try:
            self._pace.failed(error, sent_at, may_break=may_break)
        except EndpointError as hopeless:
            self._stop.set(hopeless)
            raise Stopped from hopeless

    def _forbids_all(self, request: Request, attempts: "_Attempts") -> bool:
        """Whether a 403 is about the key: nothing was ever answered, and not one request alone.

        Moderation forbids single images, and may do so before any reply is written.
        """
        if self._pace.num_answers > 0:
            return False
        self._forbidden.add(request.key)
        is_alone = self._pace.in_flight <= 1 and attempts.num_failures >= self._max_attempts
        return is_alone or len(self._forbidden) >= MAX_FORBIDDEN_REQUESTS

    def _remember(self, capabilities: Capabilities, missing: str) -> None:
        """Notes for this and later runs what the endpoint does without."""
        self._writer.meta(self._capabilities_name, write_capabilities(capabilities))
        words = self._refusals.last_words
        setting = f"`{self._settings.role}.structured_output: {capabilities.format}`"
        asks = f" {setting} says so from the start." if "response_format" in missing else ""
        _log.warning(
            "%s refuses %s for model %s%s; its requests go without from now on.%s",
            self._endpoint.address,
            missing,
            self._endpoint.model,
            f' ("{words}")' if words else "",
            asks,
        )


@dataclass(slots=True)
class _Call:
    """What one call brought: a body or an error."""

    request_id: int
    asked_with: Capabilities
    sent_at: float
    body: bytes | None = None
    error: SendError | None = None


@dataclass(slots=True)
class _Attempts:
    """How often a request failed so far, and how it has to be asked.

    `failed_before_at` is when the attempt before the last one failed.
    """

    refusals: RefusalCount = field(default_factory=lambda: RefusalCount(Capabilities()))
    first_sent_at: float = 0.0
    last_failed_at: float = 0.0
    failed_before_at: float = 0.0
    num_failures: int = 0
    num_pushbacks: int = 0

    @property
    def num_sent(self) -> int:
        return self.num_failures + self.num_pushbacks

    @property
    def has_failed(self) -> bool:
        return self.num_sent > 0

    def fail(self, error: SendError, sent_at: float, now: float) -> bool:
        """Counts a failure; returns whether it was the first."""
        is_first = not self.has_failed
        if is_first:
            self.first_sent_at = self.last_failed_at = sent_at
        self.failed_before_at, self.last_failed_at = self.last_failed_at, now
        if error.kind == "pushback":
            self.num_pushbacks += 1
        else:
            self.num_failures += 1
        return is_first
