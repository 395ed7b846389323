"""Batch mode: a round's requests go out as files and come back hours later, into the same ledger.

A wave asks for whatever jobs still need: samples first, then the corrections
and judgements that their replies call for. Every step is written down before
it is taken, so a run that is killed anywhere goes on where it was.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from builder.config import BatchConfig
from builder.generate.abilities import (
    Abilities,
    Wanted,
    abilities_name,
    read_abilities,
    remembered_abilities,
    step_down,
    write_abilities,
)
from builder.generate.asking import GaveUp
from builder.generate.batch_api import BatchApi, BatchState
from builder.generate.batch_lines import read_line
from builder.generate.budget import Budget, BudgetReached
from builder.generate.client import EndpointError
from builder.generate.ledger import Ledger
from builder.generate.pace import Stopped
from builder.generate.records import BatchRecord, StoredReply
from builder.generate.requests import Request, RequestFactory
from builder.generate.writer import LedgerWriter
from schemas.errors import PolysceneError

_INGESTED_AT_ONCE = 500


@dataclass(slots=True)
class _Part:
    """A file of requests that grows until it is full."""

    key: str
    path: Path
    file: IO[bytes]
    num_bytes: int = 0
    requests: list[Request] = field(default_factory=list)


class BatchAsker:
    """Collects requests into files, sends the files as batches, and takes their results in.

    Args:
        api: The provider.
        factory: Makes bodies.
        config: Limits of a file, and how often to look.
        max_attempts: How often a request is put into a batch before it is given up.
        directory: Where files of requests and results lie meanwhile.
        role: "teacher" or "judge": whose batches these are.
        budget: Counts requests.
        ledger: Replies, and batches under way.
        writer: Takes rows.
        say: Tells people what happens.
        stop: Called when a budget is reached.
    """

    can_buy = True

    def __init__(
        self,
        *,
        api: BatchApi,
        factory: RequestFactory,
        config: BatchConfig,
        max_attempts: int,
        directory: Path,
        role: str,
        budget: Budget,
        ledger: Ledger,
        writer: LedgerWriter,
        say: Callable[[str], None],
        stop: Callable[[PolysceneError], None],
    ) -> None:
        self._api = api
        self._factory = factory
        self._config = config
        self._max_attempts = max_attempts
        self._directory = directory
        self._role = role
        self._budget = budget
        self._ledger = ledger
        self._writer = writer
        self._say = say
        self._stop = stop
        self._part: _Part | None = None
        self._wanted: Wanted = factory.teacher.structured_output
        self._abilities_name = abilities_name(api.endpoint, self._wanted)
        self._abilities = remembered_abilities(ledger, self._abilities_name, self._wanted)
        self._collecting = asyncio.Lock()
        self.stopping = False

    async def ask(self, request: Request, *, urgent: bool) -> StoredReply | GaveUp | None:
        await asyncio.sleep(0)
        stored = self._ledger.find_reply(request.key)
        if stored is not None:
            return stored
        if self._ledger.num_sent(request.key) >= self._max_attempts:
            return GaveUp("batch_without_reply")
        try:
            self._budget.take(0)
        except BudgetReached as exc:
            self._stop(exc)
            raise Stopped from exc
        async with self._collecting:
            await self._collect(request)
        return None

    async def settle(self) -> bool:
        """Sends what was collected and waits for every batch; returns whether there was any.

        Raises:
            EndpointError: A batch failed as a whole.
            Stopped: The run is draining; batches go on at the provider.
        """
        await self._close_part()
        last: dict[str, str] = {}
        has_any = False
        while records := self._ledger.open_batches(self._role):
            has_any = True
            for record in records[: self._config.max_open]:
                if record.batch_id is None:
                    await self._send(record)
                else:
                    await self._look(record, record.batch_id, last)
            if any(record.batch_id is None for record in records[: self._config.max_open]):
                continue
            if self._ledger.open_batches(self._role):
                await self._sleep(self._config.poll_s)
        return has_any

    def close(self) -> None:
        """Lets go of a file that is not meant to be sent."""
        if self._part is not None:
            self._part.file.close()

    def clean_up(self) -> None:
        """Deletes files of batches that were never meant to be sent, after a kill."""
        mine = {record.key for record in self._ledger.open_batches(self._role)}
        for path in self._directory.glob(f"{self._role}-*"):
            if path.name.split(".")[0] not in mine:
                path.unlink()

    async def _collect(self, request: Request) -> None:
        line = b'{"custom_id":"%b","method":"POST","url":"/v1/chat/completions","body":%b}\n' % (
            request.key.encode(),
            self._factory.body(request, self._abilities),
        )
        part = self._part
        if part is not None and (
            len(part.requests) >= self._config.max_requests
            or part.num_bytes + len(line) > self._config.max_bytes
        ):
            await self._close_part()
            part = None
        if part is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            key = f"{self._role}-{secrets.token_hex(8)}"
            path = self._directory / f"{key}.jsonl"
            part = self._part = _Part(key, path, path.open("wb"))
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
            )
        abilities = write_abilities(self._abilities)
        await self._writer.add("batch", part.key, self._role, len(part.requests), abilities)

    async def _send(self, record: BatchRecord) -> None:
        """Takes a batch from wherever it was left to being under way."""
        path = self._directory / f"{record.key}.jsonl"
        batch_id = await self._api.find(record.key) if record.file_id is not None else None
        if batch_id is None:
            file_id = record.file_id
            if file_id is None:
                file_id = await self._api.upload(path)
                await self._writer.add("batch_file", file_id, record.key)
            self._refuse_while_stopping()
            batch_id = await self._api.start(file_id, record.key, self._config.completion_window)
        await self._writer.add("batch_started", batch_id, record.key)
        path.unlink(missing_ok=True)
        self._say(f"batch {batch_id}: {record.num_requests} requests submitted")

    async def _look(self, record: BatchRecord, batch_id: str, last: dict[str, str]) -> None:
        """Looks at a batch under way, and takes its results in when it is over."""
        state = await self._api.look(batch_id)
        if last.get(record.key) != state.status:
            last[record.key] = state.status
            self._say(f"batch {state.id}: {state.status}")
        if state.is_over:
            await self._finish(record, state)

    async def _finish(self, record: BatchRecord, state: BatchState) -> None:
        files = [("replies", state.output_file_id), ("errors", state.error_file_id)]
        if state.status == "failed" and not any(file_id for _, file_id in files):
            await self._writer.add("batch_over", "failed", record.key)
            raise EndpointError(
                f"batch {state.id} failed as a whole: {state.what or 'no reason given'}. Mend "
                "that and run the same command again; its requests are asked for anew."
            )
        for name, file_id in files:
            if file_id is not None:
                path = self._directory / f"{record.key}.{name}.jsonl"
                await self._api.download(file_id, path)
                await self._take_in(path, read_abilities(record.abilities))
                path.unlink()
        await self._writer.add("batch_over", state.status, record.key)

    async def _take_in(self, path: Path, asked_with: Abilities) -> None:
        """Writes results into the ledger; taking the same file in twice changes nothing."""
        num_lines = 0
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    self._take_line(line, asked_with)
                    num_lines += 1
                if num_lines % _INGESTED_AT_ONCE == 0:
                    await self._writer.flush()
        await self._writer.flush()

    def _take_line(self, line: bytes, asked_with: Abilities) -> None:
        """Stores a result as it came; a request without one goes into the next batch."""
        line = self._api.endpoint.hide_key(line)
        result = read_line(line)
        request_id = self._ledger.find_request(result.key) if result is not None else None
        if result is None or request_id is None:
            return
        if result.status == 200:
            self._writer.post("reply", request_id, 200, line)
        elif result.status == 400:
            lower = step_down(asked_with, line, self._wanted)
            if lower is None:
                self._writer.post("reply", request_id, 400, line)
            elif lower != self._abilities:
                self._abilities = lower
                self._writer.post("meta", self._abilities_name, write_abilities(lower))

    async def _sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (left := deadline - loop.time()) > 0:
            self._refuse_while_stopping()
            await asyncio.sleep(min(left, 0.25))

    def _refuse_while_stopping(self) -> None:
        if self.stopping:
            raise Stopped
