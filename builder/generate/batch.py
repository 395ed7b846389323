"""Batch mode: a round's requests go out as files and come back hours later, into the same ledger.

A wave asks for whatever jobs still need: samples first, then the corrections
and judgements that their replies call for. A file is sent as soon as it is
full, so that few of them lie on disk at once.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from builder.config import BatchConfig
from builder.generate.abilities import write_abilities
from builder.generate.asking import GaveUp
from builder.generate.batch_courier import BatchCourier
from builder.generate.bound import CostBound
from builder.generate.budget import Budget
from builder.generate.ledger import Ledger
from builder.generate.pace import Stopped
from builder.generate.records import StoredReply
from builder.generate.requests import Request, RequestFactory
from builder.generate.writer import LedgerWriter
from schemas.errors import PolysceneError


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
        courier: Sends files and brings results back.
        factory: Makes bodies.
        config: Limits of a file.
        max_attempts: How often a request is put into a batch before it is given up.
        role: "teacher" or "judge": whose batches these are.
        budget: Shared by all that spend.
        bound: The most a request can cost, at the price of batches; None where no price is known.
        ledger: Replies.
        writer: Takes rows.
        stop: Called when a budget is reached.
    """

    can_buy = True

    def __init__(
        self,
        *,
        courier: BatchCourier,
        factory: RequestFactory,
        config: BatchConfig,
        max_attempts: int,
        role: str,
        budget: Budget,
        bound: CostBound | None,
        ledger: Ledger,
        writer: LedgerWriter,
        stop: Callable[[PolysceneError], None],
    ) -> None:
        self._courier = courier
        self._factory = factory
        self._config = config
        self._max_attempts = max_attempts
        self._role = role
        self._budget = budget
        self._bound = bound if budget.max_usd is not None else None
        self._ledger = ledger
        self._writer = writer
        self._stop = stop
        self._part: _Part | None = None
        self._goes_on = False
        self._collecting = asyncio.Lock()

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | GaveUp | None:
        await asyncio.sleep(0)
        stored = self._ledger.find_reply(request.key)
        if stored is not None:
            return stored
        if self._ledger.num_sent(request.key) >= self._max_attempts:
            return GaveUp("batch_without_reply")
        async with self._collecting:
            self._courier.refuse_while_stopping()
            if self._reserve(request):
                await self._collect(request)
            self._goes_on = True
        return None

    def _reserve(self, request: Request) -> bool:
        """Sets the most a request can cost aside, if there is room for it in this wave.

        Where there is none, results of this wave may leave some for the next.

        Raises:
            Stopped: There is no room, and none will come.
        """
        most_usd = self._bound.usd(request) if self._bound is not None else 0.0
        if self._budget.reserve(request.key, most_usd):
            return True
        if not self._budget.may_free_up:
            reached = self._budget.reached(most_usd)
            self._stop(reached)
            raise Stopped from reached
        return False

    async def settle(self) -> bool:
        """Sends the rest and waits for every batch; returns whether another wave is needed.

        Raises:
            EndpointError: A batch failed as a whole.
            Stopped: The run is draining; batches go on at the provider.
        """
        await self._close_part()
        goes_on, self._goes_on = self._goes_on, False
        return await self._courier.settle() or goes_on

    def close(self) -> None:
        """Lets go of a file that is not meant to be sent."""
        if self._part is not None:
            self._part.file.close()

    async def _collect(self, request: Request) -> None:
        """Adds a request to the file that is being filled; a full one is sent first."""
        line = b'{"custom_id":"%b","method":"POST","url":"/v1/chat/completions","body":%b}\n' % (
            request.key.encode(),
            self._factory.body(request, self._courier.abilities),
        )
        part = self._part
        if part is not None and (
            len(part.requests) >= self._courier.max_requests
            or part.num_bytes + len(line) > self._config.max_bytes
        ):
            await self._close_part()
            await self._courier.submit()
            part = None
        if part is None:
            key = f"{self._role}-{secrets.token_hex(8)}"
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
                self._writer.post("rebatched", part.key, request.key)
                continue
            self._writer.post("prompt", request.prompt_hash, request.system)
            self._writer.post(
                "request",
                self._writer.take_request_id(),
                request.key,
                request.job.id,
                request.kind,
                request.prompt_hash,
                request.parameters,
                part.key,
                request.model,
            )
        abilities = write_abilities(self._courier.abilities)
        await self._writer.add("batch", part.key, self._role, len(part.requests), abilities)
