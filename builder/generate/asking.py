"""Asking a live endpoint: written down before it is sent, paced, paid, written down again."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from builder.generate.abilities import (
    Abilities,
    FoundAbilities,
    abilities_name,
    remembered_abilities,
    write_abilities,
)
from builder.generate.bound import CostBound
from builder.generate.budget import Budget
from builder.generate.client import Endpoint, EndpointError, SendError
from builder.generate.ledger import Ledger
from builder.generate.pace import Pace, Stopped
from builder.generate.records import StoredReply
from builder.generate.requests import Request, RequestFactory
from builder.generate.writer import LedgerWriter
from schemas.errors import PolysceneError

_log = logging.getLogger(__name__)

#: Pushbacks are the endpoint's pace, not the request's fault, so more of them are borne.
_PUSHBACKS_AN_ATTEMPT = 5
#: Errors that answer a request: sending it again brings the same.
_ANSWERS = frozenset({"refused", "forbidden"})
#: As many requests may fail on their own before the endpoint is suspected.
_FEW = 8
#: An endpoint that forbids as many requests and answered none wants another key or model.
_FEW_FORBIDDEN = 3
#: How often a request looks whether others have left room in the budget.
_ROOM_LOOK_S = 0.05


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
            Stopped: The run is draining.
        """
        ...


class StoredReplies:
    """Replies the ledger holds, and no others."""

    can_buy = False

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | None:
        await asyncio.sleep(0)  # lets the writer at the loop
        return self._ledger.find_reply(request.key)


class LiveAsker:
    """Asks an endpoint, each request until it has a reply or none can be had.

    Args:
        endpoint: Where to send.
        factory: Makes bodies.
        pace: Shared by all that send to this endpoint.
        budget: Shared by all that spend.
        bound: The most a request can cost; None where no price is known.
        ledger: Holds replies of earlier runs.
        writer: Takes rows.
        stop: Called with an error after which nothing more can be sent.
    """

    can_buy = True

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        factory: RequestFactory,
        pace: Pace,
        budget: Budget,
        bound: CostBound | None,
        ledger: Ledger,
        writer: LedgerWriter,
        stop: Callable[[PolysceneError], None],
    ) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._pace = pace
        self._budget = budget
        # Without a bound on money nothing is set aside.
        self._bound = bound if budget.max_usd is not None else None
        self._ledger = ledger
        self._writer = writer
        self._stop = stop
        wanted = factory.teacher.structured_output
        self._abilities_name = abilities_name(endpoint, wanted)
        known = remembered_abilities(ledger, self._abilities_name, wanted)
        self._found = FoundAbilities(wanted, known, self._remember)
        self._look_up = ledger.has_leftovers()
        self._has_replies = ledger.spent().num_replies > 0
        self._num_failing = 0
        self._forbidden: set[str] = set()
        self._answered_sent_at = float("-inf")
        self._prompts: set[str] = set()
        self._max_attempts = pace.config.max_attempts

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | GaveUp | None:
        request_id = None
        if self._look_up:
            stored = self._ledger.find_reply(request.key)
            if stored is not None:
                return stored
            request_id = self._ledger.find_request(request.key)
        trial = _Trial()
        try:
            while True:
                answer = await self._send_once(request, request_id, trial, urgent)
                request_id, urgent = answer.request_id, True
                if answer.body is not None:
                    return await self._keep(request_id, 200, answer.body)
                if answer.error is None:  # it was asked in a way the endpoint does not take
                    continue
                if self._is_over(trial, answer.error):
                    if answer.error.kind in _ANSWERS:
                        return await self._keep(request_id, answer.error.status, answer.error.body)
                    self._writer.post("failed", request.key)
                    return GaveUp(answer.error.what)
                await self._wait(self._pace.backoff_s(trial.num_sent))
        finally:
            self._num_failing -= trial.has_failed

    def _is_over(self, trial: "_Trial", error: SendError) -> bool:
        """Whether a failure is the request's own, so that asking on is no use."""
        works = self._pace.last_answer_at >= trial.first_sent_at
        if error.kind == "forbidden":  # a key may lose its rights while calls are in flight
            works = self._answered_sent_at > trial.first_sent_at
        if error.kind in _ANSWERS and works:
            return True
        tries = trial.num_failures + trial.num_pushbacks // _PUSHBACKS_AN_ATTEMPT
        if tries < self._max_attempts:
            return False
        # What was answered before an outage began says nothing of the tries that fell into it.
        works_still = self._pace.last_answer_at >= trial.failed_before_at
        return works_still or self._only_few_fail(error)

    def _only_few_fail(self, error: SendError) -> bool:
        """Whether an endpoint that has worked answers a few requests with errors.

        So it is with the last requests of a round, when no other can show that it works.
        """
        has_worked = self._has_replies or self._pace.num_answers > 0
        return has_worked and error.status > 0 and self._num_failing <= _FEW

    async def _send_once(
        self, request: Request, request_id: int | None, trial: "_Trial", urgent: bool
    ) -> "_Sent":
        sent_at = await self._pace.enter(urgent=urgent)
        try:
            await self._reserve(request, urgent)
            asked_with = request.asked_with(self._found.now.lowered_to(trial.abilities))
            body = self._factory.body(request, asked_with)
            request_id = await self._note(request, request_id)
            try:
                answer = await self._endpoint.send(body)
            except SendError as error:
                self._give_back(request, error)
                if error.kind == "refused":
                    lower = self._found.refused(request.key, asked_with, error.body)
                    if lower is not None:
                        trial.abilities = lower
                        return _Sent(request_id)
                self._num_failing += trial.fail(error, sent_at, self._pace.now())
                self._judge_failure(request, trial, error, sent_at)
                return _Sent(request_id, error=error)
            self._pace.answered()
            self._answered_sent_at = max(self._answered_sent_at, sent_at)
            return _Sent(request_id, body=answer.body)
        finally:
            self._pace.leave()

    async def _reserve(self, request: Request, urgent: bool) -> None:
        """Sets the most a request can cost aside, waiting for calls under way to leave room.

        What a job needs to be finished goes before new jobs, or a dear judge would wait until
        cheap samples have used all room up.

        Raises:
            Stopped: There is no room, or the run is draining.
        """
        most_usd = self._bound.usd(request) if self._bound is not None else 0.0
        self._budget.num_urgent += urgent
        try:
            while True:
                gives_way = self._budget.num_urgent > 0 and not urgent
                if not gives_way and self._budget.reserve(request.key, most_usd):
                    return
                if not gives_way and not self._budget.may_free_up:
                    reached = self._budget.reached(most_usd)
                    self._stop(reached)
                    raise Stopped from reached
                await self._wait(_ROOM_LOOK_S)
        finally:
            self._budget.num_urgent -= urgent

    def _give_back(self, request: Request, error: SendError) -> None:
        """Errors are not billed; a call that was cut off after it was sent may be."""
        if error.what in {"timeout", "connection_lost"}:
            self._budget.forfeit(request.key)
        else:
            self._budget.release(request.key)

    async def _note(self, request: Request, request_id: int | None) -> int:
        """Writes the request down before it is sent; returns its id."""
        if request_id is not None:
            await self._writer.add("resent", request.key)
            return request_id
        if request.prompt_hash not in self._prompts:
            self._prompts.add(request.prompt_hash)
            self._writer.post("prompt", request.prompt_hash, request.system)
        request_id = self._writer.take_request_id()
        await self._writer.add(
            "request",
            request_id,
            request.key,
            request.job.id,
            request.kind,
            request.prompt_hash,
            request.parameters,
            None,
            request.model,
        )
        return request_id

    async def _keep(self, request_id: int, status: int, body: bytes) -> StoredReply:
        """Writes the raw reply down; it is parsed only after that."""
        await self._writer.add("reply", request_id, status, body)
        return StoredReply(request_id, status, body)

    def _judge_failure(
        self, request: Request, trial: "_Trial", error: SendError, sent_at: float
    ) -> None:
        """Stops the run where no request can succeed."""
        forbids_all = error.kind == "forbidden" and self._forbids_all(request, trial)
        if error.kind == "fatal" or forbids_all:
            self._stop(EndpointError(error.message + " Nothing paid for is lost."))
            raise Stopped from error
        is_open = error.kind == "forbidden" and self._pace.num_answers == 0
        others_will_tell = is_open and self._pace.in_flight > 1
        may_break = not others_will_tell and not self._only_few_fail(error)
        try:
            self._pace.failed(error, sent_at, may_break=may_break)
        except EndpointError as hopeless:
            self._stop(hopeless)
            raise Stopped from hopeless

    def _forbids_all(self, request: Request, trial: "_Trial") -> bool:
        """Whether a 403 is about the key: nothing was ever answered, and not one request alone.

        Moderation forbids single images, and may do so before any reply is written.
        """
        if self._pace.num_answers > 0:
            return False
        self._forbidden.add(request.key)
        is_alone = self._pace.in_flight <= 1 and trial.num_failures >= self._max_attempts
        return is_alone or len(self._forbidden) >= _FEW_FORBIDDEN

    def _remember(self, abilities: Abilities, missing: str) -> None:
        """Notes for this and later runs what the endpoint does without."""
        self._writer.post("meta", self._abilities_name, write_abilities(abilities))
        _log.warning(
            "%s refuses %s for model %s; its requests go without from now on.",
            self._endpoint.address,
            missing,
            self._endpoint.model,
        )

    async def _wait(self, seconds: float) -> None:
        """Sleeps, but not on while the run drains."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not self._pace.stopping:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.25))
        raise Stopped


@dataclass(slots=True)
class _Sent:
    """What one call brought: a body, an error, or neither where it has to be asked otherwise."""

    request_id: int
    body: bytes | None = None
    error: SendError | None = None


@dataclass(slots=True)
class _Trial:
    """How often a request failed so far, and how it has to be asked."""

    abilities: Abilities = field(default_factory=Abilities)
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
