"""The engine: many jobs at once, each from its request to its outcome, in no particular order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from builder.generate.answers import Usage, read_completion
from builder.generate.asking import Asker, GaveUp
from builder.generate.bound import CostBound
from builder.generate.budget import Budget
from builder.generate.client import DeadEndpoint
from builder.generate.cost import Price
from builder.generate.outcome import Judged, OutcomeMaker, Paid, dropped_row, kept_row
from builder.generate.pace import Stopped
from builder.generate.records import StoredReply
from builder.generate.reply import Read, Unreadable, read_evaluation, read_reply
from builder.generate.requests import Request, RequestFactory
from builder.generate.tally import Tally
from builder.generate.useless import UselessWatch
from builder.generate.writer import LedgerWriter
from builder.plan.job import Job
from builder.prompts import Prompt, correction, render_judge, render_prompt
from schemas.errors import PolysceneError
from schemas.sample import Draft, Evaluation, Provenance

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: Of an unreadable reply, this much is shown to the model when it is asked to write it again.
MAX_QUOTED_CHARS = 8_000
#: How long calls in flight are waited for once the endpoint is given up.
GRACE_S = 5.0
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model to ask: how to make its requests, where its replies come from, what they cost.

    `bound` is what a reply is taken to cost that comes without `usage`.
    """

    factory: RequestFactory
    asker: Asker
    price: Price | None
    bound: CostBound | None = None


@dataclass(frozen=True, slots=True)
class _Bought:
    """A reply read as far as its envelope, or the reason there is none."""

    request: Request
    read: Read | Unreadable
    content: str
    paid: Paid


class _Open(Exception):
    pass


class Engine:
    """Runs jobs until they end, or the run is stopped.

    Args:
        teacher: Writes samples.
        judge: Scores revisions, if one is configured.
        outcomes: Makes rows.
        writer: Takes them.
        tally: Counts.
        budget: Told what replies cost.
        watch: Stops the run when every job is dropped; None where nothing is paid for.
        num_workers: Jobs under way at once: bounds memory.
    """

    def __init__(
        self,
        *,
        teacher: Teacher,
        judge: Teacher | None,
        outcomes: OutcomeMaker,
        writer: LedgerWriter,
        tally: Tally,
        budget: Budget,
        num_workers: int,
        watch: UselessWatch | None = None,
    ) -> None:
        self._teacher = teacher
        self._judge = judge
        self._outcomes = outcomes
        self._writer = writer
        self._tally = tally
        self._budget = budget
        self._num_workers = num_workers
        self._watch = watch
        self._stopping = False
        self.stopped_by: PolysceneError | None = None
        self.on_stop: list[Callable[[], None]] = []

    def stop(self, error: PolysceneError | None = None) -> None:
        """Takes no new job and sends nothing more; requests in flight are waited for."""
        if error is not None and self.stopped_by is None:
            self.stopped_by = error
        if not self._stopping:
            self._stopping = True
            for call in self.on_stop:
                call()

    @property
    def stopping(self) -> bool:
        return self._stopping

    async def run(self, jobs: Iterator[Job]) -> None:
        """Runs every job; those a stop leaves open are asked for by the next run.

        What went wrong for all of them is in `stopped_by` afterwards.
        """
        await self._run_all(jobs, self._run_job)

    async def judge(self, kept: Iterator[tuple[Job, Provenance]]) -> None:
        """Asks the judge about samples that were kept before; a stop leaves some for the next run.

        What went wrong for all of them is in `stopped_by` afterwards.
        """
        await self._run_all(kept, self._judge_kept)

    async def _run_all(self, items: Iterator[T], do: Callable[[T], Awaitable[None]]) -> None:
        running = {asyncio.create_task(self._work(items, do)) for _ in range(self._num_workers)}
        grace_s = GRACE_S
        try:
            while running:
                ended, running = await asyncio.wait(
                    running, timeout=_LOOK_S, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in ended:
                    task.result()
                if isinstance(self.stopped_by, DeadEndpoint):
                    grace_s -= _LOOK_S
                    if grace_s <= 0:  # it may hold calls until their timeout
                        return
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _work(self, items: Iterator[T], do: Callable[[T], Awaitable[None]]) -> None:
        try:
            for item in items:
                if self._stopping:
                    return
                with suppress(Stopped, _Open):
                    await do(item)
        except PolysceneError as exc:
            self.stop(exc)

    async def _run_job(self, job: Job) -> None:
        try:
            row = await self._outcome(job)
        except (Stopped, _Open, PolysceneError):
            raise
        except Exception:
            # A reply that breaks our own code must not stop a build of half a million: it is in
            # the ledger, and `reparse` takes it up once the code is mended.
            _log.exception("job %s (%s, %s)", job.id, job.cell.name, job.language)
            row = dropped_row(job, "internal_error", None)
        if self._writer.is_full:  # replies may come faster than a disk takes them
            await self._writer.add("outcome", *row)
        else:
            self._writer.post("outcome", *row)
        self._note_end(job, row[7])

    async def _judge_kept(self, kept: tuple[Job, Provenance]) -> None:
        job, provenance = kept
        assert self._judge is not None
        judged, cost = await self._ask_judge(self._judge, job, provenance.revision)
        if judged is not None:  # else its sample stays without one
            row = self._outcomes.judged(provenance, judged, cost)
            await self._writer.add("judged", row, job.id)

    def _note_end(self, job: Job, reason: str | None) -> None:
        useless = None
        if reason is None:
            self._tally.keep(job.language)
            if self._watch is not None:
                self._watch.keep()
        else:
            self._tally.drop(job.language, reason)
            if self._watch is not None:
                cell = f"{job.cell.task_type} {job.cell.modality}"
                useless = self._watch.drop(cell, reason)
        if useless is not None:
            self.stop(useless)

    def end_round(self) -> None:
        """Stops where a whole round brought nothing, and none before it did."""
        useless = self._watch.end_round() if self._watch is not None else None
        if useless is not None:
            self.stop(useless)

    async def _outcome(self, job: Job) -> tuple[Any, ...]:
        prompt = render_prompt(job)
        asked = self._teacher.factory.sample(job, prompt)
        bought = await self._buy(self._teacher, asked, urgent=False)
        if isinstance(bought.read, Unreadable) and bought.read.error is not None:
            bought = await self._ask_again(prompt, bought, bought.read.error)
        if isinstance(bought.read, Unreadable):
            return dropped_row(job, bought.read.reason, bought.request.key)
        checked = self._outcomes.check(job, bought.read)
        if checked.report.reason is not None:
            return dropped_row(job, checked.report.reason, bought.request.key)
        try:
            sample = self._outcomes.sample(job, checked)
        except ValidationError as exc:
            _log.info("job %s: %s", job.id, exc.errors(include_url=False, include_input=False))
            return dropped_row(job, "invalid_row", bought.request.key)
        paid = bought.paid
        judged = None
        if self._judge is not None:
            judged, judge_cost = await self._ask_judge(self._judge, job, checked.revision)
            paid += judge_cost
        provenance = self._outcomes.provenance(
            job,
            sample,
            checked,
            prompt_hash=bought.request.prompt_hash,
            request_hash=bought.request.key,
            paid=paid,
            repaired=bought.read.repaired,
            judged=judged,
        )
        return kept_row(job, sample, provenance)

    async def _ask_again(self, prompt: Prompt, bought: _Bought, error: str) -> _Bought:
        """Asks once more for an unreadable reply, naming what is wrong with it."""
        quoted = bought.content[:MAX_QUOTED_CHARS].encode("utf-8", "replace").decode()
        again = self._teacher.factory.correction(bought.request, prompt, quoted, correction(error))
        try:
            second = await self._buy(self._teacher, again, urgent=True)
        except _Open:
            if self._teacher.asker.can_buy:
                raise
            return bought
        self._tally.num_corrections += 1
        return _Bought(second.request, second.read, second.content, bought.paid + second.paid)

    async def _ask_judge(
        self, judge: Teacher, job: Job, revision: Draft
    ) -> tuple[Judged | None, Paid]:
        """A judge's evaluation; a judge that cannot be read costs no sample."""
        request = judge.factory.judge(job, render_judge(job, revision))
        try:
            bought = await self._buy(judge, request, urgent=True)
        except _Open:
            if judge.asker.can_buy:
                raise
            return None, Paid()
        cost = Paid(0, 0, bought.paid.cost_usd)
        if isinstance(bought.read, Unreadable):
            return None, cost
        evaluation = Evaluation.model_validate(bought.read.value, from_attributes=True)
        return Judged(evaluation, judge.factory.teacher.model), cost

    async def _buy(self, teacher: Teacher, request: Request, *, urgent: bool) -> _Bought:
        got = await teacher.asker.ask(request, urgent=urgent)
        if got is None:
            raise _Open
        if isinstance(got, GaveUp):
            self._budget.release(request.key)
            return _Bought(request, Unreadable(got.reason), "", Paid())
        if got.status != 200:
            self._budget.release(request.key)
            return _Bought(request, Unreadable(_refusal_reason(got)), "", Paid())
        completion = read_completion(got.raw)
        cost_usd = self._count(teacher, request, got, completion.usage)
        if request.kind == "judge":
            read = read_evaluation(completion)
        else:
            read = read_reply(request.job.cell, completion)
        usage = completion.usage
        paid = Paid(usage.prompt_tokens, usage.completion_tokens, cost_usd)
        return _Bought(request, read, completion.content, paid)

    def _count(
        self, teacher: Teacher, request: Request, reply: StoredReply, usage: Usage
    ) -> float | None:
        if reply.is_counted:  # at the price of the time
            return reply.cost_usd
        cost_usd = teacher.price.cost_usd(usage) if teacher.price else None
        is_estimate = not usage.is_given and teacher.bound is not None
        if is_estimate and teacher.bound is not None:
            cost_usd = teacher.bound.usd(request)
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        self._writer.post("usage", reply.request_id, *tokens, cost_usd)
        self._budget.settle(request.key, cost_usd, is_estimate=is_estimate)
        self._tally.read(usage, cost_usd)
        return cost_usd


def _refusal_reason(reply: StoredReply) -> str:
    said = reply.raw.decode("utf-8", "replace").lower()
    if "content_policy" in said or "content_filter" in said or "content management" in said:
        return "content_filter"
    if reply.status == 403:
        return "refused"
    return f"http_{reply.status}"
