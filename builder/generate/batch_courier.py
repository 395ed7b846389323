"""Takes written-down batches to the provider and their results back into the ledger.

Every step is written down before it is taken, so a run that is killed anywhere goes on where it
was, and no batch is started twice.
"""

import asyncio
import logging
from pathlib import Path

from builder.config import BatchConfig
from builder.cost.price import Price
from builder.endpoint.batch_api import BatchApi, BatchLimit, BatchState
from builder.endpoint.capabilities import (
    Capabilities,
    LearnedCapabilities,
    Wanted,
    capabilities_name,
    read_capabilities,
    remembered_capabilities,
    write_capabilities,
)
from builder.endpoint.completion import read_completion
from builder.endpoint.health import EndpointError
from builder.generate.batch_lines import BatchCounts, BatchLine, read_line
from builder.generate.run_context import RunContext
from builder.ledger.tables import BatchRecord

_log = logging.getLogger(__name__)

_RESULTS_PER_COMMIT = 500
#: After the provider said that its queue is full, this many polls pass before the next try.
_POLLS_TO_WAIT = 10
#: A refused request goes into one more batch, for the draw may be at fault; each takes hours.
_MAX_REFUSALS = 2
#: This many batches in a row may meet nothing but trouble before the run stops.
_MAX_FAILED_BATCHES = 3
#: This often a batch may be turned away while no other of ours is under way, before it is split.
_MAX_TURNED_AWAY = 3
_STOP_POLL_S = 0.25


class BatchCourier:
    """Sends batches while there is room for them, polls those under way, stores their results.

    Args:
        run: The run it is part of.
        role: "teacher" or "judge": whose batches these are.
        api: The provider.
        wanted: `structured_output` of the configuration.
        config: How many may be under way, and how often to poll.
        price: Of what batches bring; None where it is not known.
    """

    def __init__(
        self,
        run: RunContext,
        role: str,
        api: BatchApi,
        wanted: Wanted,
        config: BatchConfig,
        price: Price | None,
    ) -> None:
        self.role = role
        self.config = config
        #: Largest batch that the provider may take; less once one was turned away for its size.
        self.max_requests = config.max_requests
        self._run = run
        self._ledger = run.ledger
        self._writer = run.writer
        self._api = api
        self._price = price
        self._directory = run.ledger.path.parent / "batches"
        self._capabilities_name = capabilities_name(api.endpoint, wanted)
        known = remembered_capabilities(run.ledger, self._capabilities_name, wanted)
        self._learned = LearnedCapabilities(wanted, known, self._remember)
        self._answered: set[Capabilities] = set()
        self._last_status: dict[str, str] = {}
        self._wait_until = 0.0
        self._num_turned_away = 0
        self._num_failed = 0

    @property
    def capabilities(self) -> Capabilities:
        """How requests of the next batch are asked."""
        return self._learned.now

    def path_of(self, key: str) -> Path:
        """Where the requests of a batch lie until the provider has taken them."""
        return self._directory / f"{key}.jsonl"

    async def send_all(self) -> None:
        """Sends every batch that is written down, waiting for room where there is none.

        Raises:
            EndpointError: A batch failed as a whole.
            Stopped: The run is stopping; batches go on at the provider.
        """
        while any(record.batch_id is None for record in self._open()):
            await self._step()

    async def collect_all(self) -> bool:
        """Sends what is left and waits until every batch is over; returns whether there was any.

        Raises:
            EndpointError: A batch failed as a whole.
            Stopped: The run is stopping; batches go on at the provider.
        """
        has_any = False
        while self._open():
            has_any = True
            await self._step()
        return has_any

    async def finish_earlier(self) -> None:
        """Waits for batches that an earlier run started, and gives up those it never started.

        Raises:
            EndpointError: A batch failed as a whole, or cannot be found at the provider.
            Stopped: The run is stopping; batches go on at the provider.
        """
        for record in self._open():
            if record.batch_id is None and not await self._find(record):
                await self._give_up(record)
        if left := self._open():
            self._run.say(
                f"{len(left)} batches of {sum(record.num_requests for record in left)} requests, "
                "sent by an earlier run with --batch, are still at the provider. Waiting for them "
                "before anything is asked live; interrupt to leave them there."
            )
            await self.collect_all()

    def delete_leftovers(self) -> None:
        """Deletes files of batches that were never meant to be sent, after a kill."""
        mine = {record.key for record in self._open()}
        for path in self._directory.glob(f"{self.role}-*"):
            if path.name.split(".")[0] not in mine:
                path.unlink()

    def _open(self) -> list[BatchRecord]:
        return self._ledger.open_batches(self.role)

    async def _step(self) -> None:
        """Sends one batch if there is room, else polls those under way, else sleeps."""
        self._run.stop.check_collecting()
        records = self._open()
        under_way = [record for record in records if record.batch_id is not None]
        waiting = [record for record in records if record.batch_id is None]
        if waiting and self._has_room(len(under_way)):
            await self._send(waiting[0], alone=not under_way)
            return
        were_over = [await self._poll(record) for record in under_way]
        if not any(were_over) and self._open():
            await self._sleep(self.config.poll_s)

    def _has_room(self, num_under_way: int) -> bool:
        max_open = self.config.max_open
        must_wait = asyncio.get_running_loop().time() < self._wait_until
        return not must_wait and (max_open is None or num_under_way < max_open)

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
            self._writer.batch_uploaded(record.key, file_id)
            await self._writer.flush()
        self._run.stop.check_collecting()
        try:
            batch_id = await self._api.start(file_id, record.key, self.config.completion_window)
        except BatchLimit as exc:
            await self._wait_for_room(record, str(exc), alone=alone)
            return
        await self._started(record, batch_id)
        self._run.say(f"batch {batch_id}: {record.num_requests} requests submitted")

    async def _find(self, record: BatchRecord) -> bool:
        """Whether the batch was started after all, by a run that could not write that down."""
        if record.file_id is None:
            return False
        batch_id = await self._api.find(record.key, record.file_id)
        if batch_id is not None:
            await self._started(record, batch_id)
        return batch_id is not None

    async def _started(self, record: BatchRecord, batch_id: str) -> None:
        self._writer.batch_started(record.key, batch_id)
        await self._writer.flush()
        self.path_of(record.key).unlink(missing_ok=True)

    async def _wait_for_room(self, record: BatchRecord, message: str, *, alone: bool) -> None:
        """Sends nothing for a while, for the provider's queue is full.

        A batch that is turned away again and again, though none of ours is
        under way, is too large for the queue: its requests go out in smaller ones.

        Args:
            record: The batch that was turned away.
            message: What the provider said.
            alone: Whether none of ours is under way.
        """
        self._num_turned_away += alone
        if self._num_turned_away >= _MAX_TURNED_AWAY and record.num_requests > 1:
            self._num_turned_away = 0
            self.max_requests = max(1, record.num_requests // 2)
            self._run.say(f"{message} Going on with batches of {self.max_requests} requests.")
            await self._give_up(record)
            return
        wait_s = _POLLS_TO_WAIT * self.config.poll_s
        self._wait_until = asyncio.get_running_loop().time() + wait_s
        self._run.say(f"{message} Trying again in {wait_s:g} s, or when another batch is over.")

    async def _give_up(self, record: BatchRecord) -> None:
        """Its requests were not run, so they are asked for anew and no attempt counts."""
        self._writer.batch_given_up(record.key)
        await self._writer.flush()
        self.path_of(record.key).unlink(missing_ok=True)

    async def _poll(self, record: BatchRecord) -> bool:
        """Stores the results of a batch when it is over; returns whether it is."""
        assert record.batch_id is not None
        state = await self._api.state(record.batch_id)
        if self._last_status.get(record.key) != state.status:
            self._last_status[record.key] = state.status
            self._run.say(f"batch {state.id}: {state.status}")
        if state.is_over:
            await self._finish(record, state)
        return state.is_over

    async def _finish(self, record: BatchRecord, state: BatchState) -> None:
        files = [("replies", state.output_file_id), ("errors", state.error_file_id)]
        if state.status == "failed" and not any(file_id for _, file_id in files):
            what = state.what or "no reason given"
            if state.is_turned_away:
                self._writer.batch_started(record.key, None)
                await self._writer.flush()
                alone = not any(other.batch_id is not None for other in self._open())
                await self._wait_for_room(record, f"batch {state.id}: {what}.", alone=alone)
                return
            await self._end(record, "failed")
            raise EndpointError(
                f"batch {state.id} failed as a whole: {what}. Fix that and run the same command "
                "again; its requests are asked for anew."
            )
        line_counts = BatchCounts()
        for name, file_id in files:
            if file_id is not None:
                path = self._directory / f"{record.key}.{name}.jsonl"
                await self._api.download(file_id, path)
                await self._store_results(path, record, line_counts)
                path.unlink()
        await self._check_line_counts(record, state, line_counts)
        await self._end(record, state.status)
        self._wait_until = 0.0
        self._num_turned_away = 0

    async def _check_line_counts(
        self, record: BatchRecord, state: BatchState, line_counts: BatchCounts
    ) -> None:
        """Stops where no line of a batch was answered, and asking again is no use for now.

        Its jobs stay open, and no attempt of its requests counts.

        Raises:
            EndpointError: Names what the provider says.
        """
        if line_counts.errors:
            kinds = ", ".join(
                f"{line_counts.last[kind].what} {n}" for kind, n in line_counts.errors.items()
            )
            self._run.say(f"batch {state.id}: {line_counts.num_answered} answered, errors: {kinds}")
        error = line_counts.account_trouble()
        is_all_trouble = (
            not (line_counts.num_answered or line_counts.num_lowered)
            and line_counts.errors["trouble"]
        )
        self._num_failed = self._num_failed + 1 if is_all_trouble else 0
        if error is None and is_all_trouble:
            wait_s = _POLLS_TO_WAIT * self.config.poll_s
            self._wait_until = asyncio.get_running_loop().time() + wait_s
            if self._num_failed >= _MAX_FAILED_BATCHES:
                error = line_counts.last["trouble"]
        if error is not None:
            await self._give_up(record)
            raise EndpointError(
                f"batch {state.id}: none of its {record.num_requests} requests was answered. "
                f"{error.message} Nothing was lost and its jobs stay open: once that is settled, "
                "run the same command again."
            )

    async def _end(self, record: BatchRecord, state: str) -> None:
        self._writer.batch_ended(record.key, state)
        await self._writer.flush()

    async def _store_results(
        self, path: Path, record: BatchRecord, line_counts: BatchCounts
    ) -> None:
        """Writes results into the ledger; doing so twice with the same file changes nothing."""
        asked_with = read_capabilities(record.capabilities)
        num_lines = 0
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    self._store_line(line, asked_with, record, line_counts)
                    num_lines += 1
                if num_lines % _RESULTS_PER_COMMIT == 0:
                    await self._writer.flush()
        await self._writer.flush()

    def _store_line(
        self, line: bytes, asked_with: Capabilities, record: BatchRecord, line_counts: BatchCounts
    ) -> None:
        """Stores a result as it came; a request without one goes into the next batch."""
        line = self._api.endpoint.hide_key(line)
        result = read_line(line)
        request_id = self._ledger.find_request(result.key) if result is not None else None
        if result is None or request_id is None:
            return
        if result.status == 200:
            line_counts.num_answered += 1
            self._answered.add(asked_with)
            self._writer.reply(request_id, 200, line)
            self._count_cost(result.key, request_id, line)
            return
        error = result.error(self._api.endpoint)
        if error.kind == "refused" and self._is_lowered(result, asked_with, record.key, line):
            line_counts.num_lowered += 1
            return
        self._run.budget.release(result.key)
        # One sent before was refused where others were answered, for a batch without any answer
        # counts as not sent. The draw may be at fault, so once more may do.
        num_sent = self._ledger.num_sent(result.key)
        is_own = error.kind in {"refused", "forbidden"} and (
            num_sent > 1 or line_counts.num_answered > 0 or record.num_requests == 1
        )
        if not is_own:
            line_counts.add(error)
        if is_own and num_sent >= _MAX_REFUSALS:
            self._writer.reply(request_id, error.status, line)
        else:
            self._writer.failed(result.key, error.message)

    def _is_lowered(
        self, result: BatchLine, asked_with: Capabilities, batch_key: str, line: bytes
    ) -> bool:
        """Whether a request was refused for how it was asked, and the next batch asks otherwise.

        Not so if other requests, asked in the same way, were answered.
        """
        if asked_with in self._answered:
            return False
        # A batch may be of one request, so that its refusal in the next batch counts again.
        refusal = f"{batch_key} {result.key}"
        return self._learned.refused(refusal, asked_with, line) is not None

    def _remember(self, capabilities: Capabilities, missing: str) -> None:
        """Notes for this and later runs what the endpoint does without."""
        self._writer.meta(self._capabilities_name, write_capabilities(capabilities))
        endpoint = self._api.endpoint
        _log.warning(
            "%s refuses %s for model %s; its requests go without from now on.",
            endpoint.address,
            missing,
            endpoint.model,
        )

    def _count_cost(self, key: str, request_id: int, line: bytes) -> None:
        """Counts what a reply cost, unless an earlier run did; one without `usage` waits."""
        usage = read_completion(line).usage
        if not usage.is_given or self._ledger.is_counted(request_id):
            return
        cost_usd = self._price.cost_usd(usage) if self._price else None
        self._run.budget.charge(key, cost_usd)
        self._run.counts.add_reply(usage, cost_usd)
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        self._writer.usage(request_id, *tokens, cost_usd)

    async def _sleep(self, seconds: float) -> None:
        # Polled, for a stop that lets batches be collected does not end this wait.
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (left := deadline - loop.time()) > 0:
            self._run.stop.check_collecting()
            await asyncio.sleep(min(left, _STOP_POLL_S))
