"""Batch mode: a round's requests go out as files and come back hours later, into the same ledger.

A wave asks for whatever jobs still need: samples first, then the corrections
and judgements that their replies call for. A file is sent as soon as it is
full, so that few of them lie on disk at once.
"""

import asyncio
import os
import secrets
from dataclasses import dataclass, field
from typing import IO

from builder.cost.upper_bound import CostUpperBound
from builder.endpoint.capabilities import write_capabilities
from builder.endpoint.requests import Request, RequestFactory
from builder.endpoint.stop import Stopped
from builder.generate.batch_courier import BatchCourier
from builder.generate.live import GaveUp
from builder.generate.run_context import RunContext
from builder.ledger.tables import StoredReply


@dataclass(slots=True)
class _Part:
    """A file of requests that grows until it is full."""

    key: str
    file: IO[bytes]
    num_bytes: int = 0
    requests: list[Request] = field(default_factory=list)


class BatchAsker:
    """Collects requests into files and hands full ones to the courier.

    Args:
        run: The run it is part of.
        courier: Sends files and brings results back.
        factory: Makes bodies.
        max_attempts: How often a request is put into a batch before it is given up.
        upper_bound: The most a request can cost, at the price of batches; None where no price
            is known.
    """

    can_buy = True

    def __init__(
        self,
        run: RunContext,
        courier: BatchCourier,
        factory: RequestFactory,
        max_attempts: int,
        upper_bound: CostUpperBound | None,
    ) -> None:
        self._ledger = run.ledger
        self._writer = run.writer
        self._budget = run.budget
        self._stop = run.stop
        self._courier = courier
        self._factory = factory
        self._max_attempts = max_attempts
        self._upper_bound = upper_bound if run.budget.max_usd is not None else None
        self._part: _Part | None = None
        self._has_open_jobs = False
        self._collecting = asyncio.Lock()

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | GaveUp | None:
        await asyncio.sleep(0)  # lets the writer run
        stored = self._ledger.find_reply(request.key)
        if stored is not None:
            return stored
        if self._ledger.num_sent(request.key) >= self._max_attempts:
            return GaveUp("batch_without_reply")
        # One file is filled at a time; while a full one waits for room at the provider, so do all.
        async with self._collecting:
            self._stop.check_collecting()
            if self._reserve(request):
                await self._collect(request)
            self._has_open_jobs = True
        return None

    def _reserve(self, request: Request) -> bool:
        """Sets the most a request can cost aside, if there is room for it in this wave.

        Where there is none, results of this wave may leave some for the next.

        Raises:
            Stopped: There is no room, and none will come.
        """
        most_usd = self._upper_bound.usd(request) if self._upper_bound is not None else 0.0
        if self._budget.reserve(request.key, most_usd):
            return True
        if not self._budget.may_free_up:
            reached = self._budget.reached(most_usd)
            self._stop.set(reached, may_collect=True)
            raise Stopped from reached
        return False

    async def finish_wave(self) -> bool:
        """Sends the rest and waits for every batch; returns whether another wave is needed.

        Raises:
            EndpointError: A batch failed as a whole.
            Stopped: The run is stopping; batches go on at the provider.
        """
        await self._close_part()
        has_open_jobs, self._has_open_jobs = self._has_open_jobs, False
        return await self._courier.collect_all() or has_open_jobs

    def close(self) -> None:
        """Lets go of a file that is not meant to be sent."""
        if self._part is not None:
            self._part.file.close()

    async def _collect(self, request: Request) -> None:
        """Adds a request to the file that is being filled; a full one is sent first."""
        line = b'{"custom_id":"%b","method":"POST","url":"/v1/chat/completions","body":%b}\n' % (
            request.key.encode(),
            self._factory.body(request, self._courier.capabilities),
        )
        part = self._part
        if part is not None and (
            len(part.requests) >= self._courier.max_requests
            or part.num_bytes + len(line) > self._courier.config.max_bytes
        ):
            await self._close_part()
            await self._courier.send_all()
            part = None
        if part is None:
            key = f"{self._courier.role}-{secrets.token_hex(8)}"
            path = self._courier.path_of(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = self._part = _Part(key, path.open("wb"))
        part.file.write(line)
        part.num_bytes += len(line)
        part.requests.append(request)

    async def _close_part(self) -> None:
        """Puts the file on disk, then writes down the intent to send it."""
        part, self._part = self._part, None
        if part is None:
            return
        part.file.flush()
        os.fsync(part.file.fileno())
        part.file.close()
        for request in part.requests:
            if self._ledger.find_request(request.key) is not None:
                self._writer.resent(request.key, part.key)
                continue
            self._writer.prompt(request.prompt_hash, request.system)
            self._writer.request(request.record(self._writer.take_request_id(), part.key))
        capabilities = write_capabilities(self._courier.capabilities)
        num_requests = len(part.requests)
        self._writer.batch_planned(part.key, self._courier.role, num_requests, capabilities)
        await self._writer.flush()
