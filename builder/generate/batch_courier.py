"""Takes written-down batches to the provider and their results back into the ledger.

Every step is written down before it is taken, so a run that is killed anywhere goes on where it
was, and no batch is started twice.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from builder.config import BatchConfig
from builder.generate.abilities import (
    Abilities,
    FoundAbilities,
    Wanted,
    abilities_name,
    read_abilities,
    remembered_abilities,
    write_abilities,
)
from builder.generate.answers import Usage, read_completion
from builder.generate.batch_api import BatchApi, BatchLimit, BatchState
from builder.generate.batch_lines import read_line
from builder.generate.client import EndpointError
from builder.generate.ledger import Ledger
from builder.generate.pace import Stopped
from builder.generate.records import BatchRecord
from builder.generate.writer import LedgerWriter

_log = logging.getLogger(__name__)

_INGESTED_AT_ONCE = 500
#: After the provider said that its queue is full, so many polls pass before the next try.
_POLLS_HELD = 10
#: So often a batch may be turned away while no other of ours is under way, before it is broken up.
_MAX_TURNED_AWAY = 3


class BatchCourier:
    """Sends batches while there is room for them, looks at those under way, takes results in.

    Args:
        api: The provider.
        wanted: `structured_output` of the configuration.
        config: How many may be under way, and how often to look.
        directory: Where files of requests and results lie meanwhile.
        role: "teacher" or "judge": whose batches these are.
        ledger: Batches and their requests.
        writer: Takes rows.
        count: Told the key of a paid request and what it took; returns its cost.
        release: Told the key of a request that was refused, so cost nothing.
        say: Tells people what happens.
    """

    def __init__(
        self,
        *,
        api: BatchApi,
        wanted: Wanted,
        config: BatchConfig,
        directory: Path,
        role: str,
        ledger: Ledger,
        writer: LedgerWriter,
        count: Callable[[str, Usage], float | None],
        release: Callable[[str], object],
        say: Callable[[str], None],
    ) -> None:
        self._api = api
        self._config = config
        self._directory = directory
        self._role = role
        self._ledger = ledger
        self._writer = writer
        self._count = count
        self._release = release
        self._say = say
        self._abilities_name = abilities_name(api.endpoint, wanted)
        known = remembered_abilities(ledger, self._abilities_name, wanted)
        self._found = FoundAbilities(wanted, known, self._remember)
        self._answered: set[Abilities] = set()
        #: Largest batch that the provider may take; less once one was turned away for its size.
        self.max_requests = config.max_requests
        self.stopping = False
        self._said: dict[str, str] = {}
        self._held_until = 0.0
        self._num_turned_away = 0

    @property
    def abilities(self) -> Abilities:
        """How requests of the next batch are asked."""
        return self._found.now

    def path_of(self, key: str) -> Path:
        """Where the requests of a batch lie until the provider has taken them."""
        return self._directory / f"{key}.jsonl"

    async def submit(self) -> None:
        """Sends every batch that is written down, waiting for room where there is none.

        Raises:
            EndpointError: A batch failed as a whole.
            Stopped: The run is draining; batches go on at the provider.
        """
        while any(record.batch_id is None for record in self._open()):
            await self._step()

    async def settle(self) -> bool:
        """Waits until every batch is over; returns whether there was any.

        Raises:
            EndpointError: A batch failed as a whole.
            Stopped: The run is draining; batches go on at the provider.
        """
        has_any = False
        while self._open():
            has_any = True
            await self._step()
        return has_any

    async def recall(self) -> None:
        """Waits for batches that an earlier run started, and gives up those it never started.

        Raises:
            EndpointError: A batch failed as a whole, or cannot be found at the provider.
            Stopped: The run is draining; batches go on at the provider.
        """
        for record in self._open():
            if record.batch_id is None and not await self._find(record):
                await self._give_up(record)
        if left := self._open():
            self._say(
                f"{len(left)} batches of {sum(record.num_requests for record in left)} requests, "
                "sent by an earlier run with --batch, are at the provider still. Waiting for them "
                "before anything is asked live; interrupt to leave them there."
            )
            await self.settle()

    def clean_up(self) -> None:
        """Deletes files of batches that were never meant to be sent, after a kill."""
        mine = {record.key for record in self._open()}
        for path in self._directory.glob(f"{self._role}-*"):
            if path.name.split(".")[0] not in mine:
                path.unlink()

    def refuse_while_stopping(self) -> None:
        """Raises `Stopped` while the run drains."""
        if self.stopping:
            raise Stopped

    def _open(self) -> list[BatchRecord]:
        return self._ledger.open_batches(self._role)

    async def _step(self) -> None:
        """Sends one batch if there is room, else looks at those under way, else sleeps."""
        self.refuse_while_stopping()
        records = self._open()
        under_way = [record for record in records if record.batch_id is not None]
        waiting = [record for record in records if record.batch_id is None]
        if waiting and self._has_room(len(under_way)):
            await self._send(waiting[0], alone=not under_way)
            return
        were_over = [await self._look(record) for record in under_way]
        if not any(were_over) and self._open():
            await self._sleep(self._config.poll_s)

    def _has_room(self, num_under_way: int) -> bool:
        max_open = self._config.max_open
        is_held = asyncio.get_running_loop().time() < self._held_until
        return not is_held and (max_open is None or num_under_way < max_open)

    async def _send(self, record: BatchRecord, *, alone: bool) -> None:
        """Takes a batch from wherever it was left to being under way."""
        if await self._find(record):
            return
        file_id, path = record.file_id, self.path_of(record.key)
        if file_id is None:
            if not path.exists():  # deleted by hand
                await self._give_up(record)
                return
            file_id = await self._api.upload(path)
            await self._writer.add("batch_file", file_id, record.key)
        self.refuse_while_stopping()
        try:
            batch_id = await self._api.start(file_id, record.key, self._config.completion_window)
        except BatchLimit as exc:
            await self._hold(record, str(exc), alone=alone)
            return
        await self._started(record, batch_id)
        self._say(f"batch {batch_id}: {record.num_requests} requests submitted")

    async def _find(self, record: BatchRecord) -> bool:
        """Whether the batch was started after all, by a run that could not write that down."""
        if record.file_id is None:
            return False
        batch_id = await self._api.find(record.key, record.file_id)
        if batch_id is not None:
            await self._started(record, batch_id)
        return batch_id is not None

    async def _started(self, record: BatchRecord, batch_id: str) -> None:
        await self._writer.add("batch_started", batch_id, record.key)
        self.path_of(record.key).unlink(missing_ok=True)

    async def _hold(self, record: BatchRecord, said: str, *, alone: bool) -> None:
        """Sends nothing for a while, for the provider's queue is full.

        A batch that is turned away again and again, though none of ours is
        under way, is too large for the queue: its requests go out in smaller ones.
        """
        self._num_turned_away += alone
        if self._num_turned_away >= _MAX_TURNED_AWAY and record.num_requests > 1:
            self._num_turned_away = 0
            self.max_requests = max(1, record.num_requests // 2)
            self._say(f"{said} Going on with batches of {self.max_requests} requests.")
            await self._give_up(record)
            return
        wait_s = _POLLS_HELD * self._config.poll_s
        self._held_until = asyncio.get_running_loop().time() + wait_s
        self._say(f"{said} Trying again in {wait_s:g} s, or when another batch is over.")

    async def _give_up(self, record: BatchRecord) -> None:
        """Its requests were not run, so they are asked for anew and no attempt counts."""
        self._writer.post("unsent", record.key)
        await self._writer.add("batch_over", "given_up", record.key)
        self.path_of(record.key).unlink(missing_ok=True)

    async def _look(self, record: BatchRecord) -> bool:
        """Takes the results of a batch in when it is over; returns whether it is."""
        assert record.batch_id is not None
        state = await self._api.look(record.batch_id)
        if self._said.get(record.key) != state.status:
            self._said[record.key] = state.status
            self._say(f"batch {state.id}: {state.status}")
        if state.is_over:
            await self._finish(record, state)
        return state.is_over

    async def _finish(self, record: BatchRecord, state: BatchState) -> None:
        files = [("replies", state.output_file_id), ("errors", state.error_file_id)]
        if state.status == "failed" and not any(file_id for _, file_id in files):
            what = state.what or "no reason given"
            if state.is_turned_away:
                await self._writer.add("batch_started", None, record.key)
                alone = not any(other.batch_id is not None for other in self._open())
                await self._hold(record, f"batch {state.id}: {what}.", alone=alone)
                return
            await self._writer.add("batch_over", "failed", record.key)
            raise EndpointError(
                f"batch {state.id} failed as a whole: {what}. Mend that and run the same command "
                "again; its requests are asked for anew."
            )
        for name, file_id in files:
            if file_id is not None:
                path = self._directory / f"{record.key}.{name}.jsonl"
                await self._api.download(file_id, path)
                await self._take_in(path, record)
                path.unlink()
        await self._writer.add("batch_over", state.status, record.key)
        self._held_until = 0.0
        self._num_turned_away = 0

    async def _take_in(self, path: Path, record: BatchRecord) -> None:
        """Writes results into the ledger; taking the same file in twice changes nothing."""
        asked_with = read_abilities(record.abilities)
        num_lines = 0
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    self._take_line(line, asked_with, record.key)
                    num_lines += 1
                if num_lines % _INGESTED_AT_ONCE == 0:
                    await self._writer.flush()
        await self._writer.flush()

    def _take_line(self, line: bytes, asked_with: Abilities, batch_key: str) -> None:
        """Stores a result as it came; a request without one goes into the next batch.

        A refusal is not about how a batch was asked if other requests,
        asked in the same way, were answered; their file is taken in first.
        """
        line = self._api.endpoint.hide_key(line)
        result = read_line(line)
        request_id = self._ledger.find_request(result.key) if result is not None else None
        if result is None or request_id is None:
            return
        if result.status == 200:
            self._answered.add(asked_with)
            self._writer.post("reply", request_id, 200, line)
            self._pay(result.key, request_id, line)
        elif result.status == 400:
            # A batch may hold one request only, so its refusal in the next batch counts again.
            refusal = f"{batch_key} {result.key}"
            if (
                asked_with in self._answered
                or self._found.refused(refusal, asked_with, line) is None
            ):
                self._writer.post("reply", request_id, 400, line)
                self._release(result.key)

    def _remember(self, abilities: Abilities, missing: str) -> None:
        """Notes for this and later runs what the endpoint does without."""
        self._writer.post("meta", self._abilities_name, write_abilities(abilities))
        endpoint = self._api.endpoint
        _log.warning(
            "%s refuses %s for model %s; its requests go without from now on.",
            endpoint.address,
            missing,
            endpoint.model,
        )

    def _pay(self, key: str, request_id: int, line: bytes) -> None:
        """Counts what a reply cost, unless an earlier run did; one without `usage` waits."""
        usage = read_completion(line).usage
        if not usage.is_given or self._ledger.is_counted(request_id):
            return
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        self._writer.post("usage", request_id, *tokens, self._count(key, usage))

    async def _sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (left := deadline - loop.time()) > 0:
            self.refuse_while_stopping()
            await asyncio.sleep(min(left, 0.25))
