"""The engine: many jobs at once, each from its request to its outcome, in no particular order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from builder.cost.price import Price
from builder.cost.upper_bound import CostUpperBound
from builder.endpoint.completion import Completion, read_completion
from builder.endpoint.health import GRACE_S, DeadEndpoint, UnusableWatch
from builder.endpoint.requests import Request, RequestFactory
from builder.endpoint.stop import Stopped
from builder.generate.answer_text import find_thoughts, without
from builder.generate.choosing import Question
from builder.generate.live import Asker, GaveUp
from builder.generate.outcome import Judged, OutcomeMaker, Paid, dropped, kept
from builder.generate.reply import Read, Unreadable, read_choice, read_evaluation, read_reply
from builder.generate.run_context import RunContext
from builder.job import Job
from builder.ledger.tables import Outcome, StoredReply
from builder.prompts import Prompt, Templates
from schemas.choice import Choice
from schemas.errors import PolysceneError
from schemas.sample import Draft, Evaluation, Provenance

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: Of an unreadable reply, this much is shown to the model when it is asked to write it again.
MAX_QUOTED_CHARS = 8_000
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model to ask: how to make its requests, where its replies come from, what they cost.

    `upper_bound` is what a reply is taken to cost that comes without `usage`.
    """

    factory: RequestFactory
    asker: Asker
    price: Price | None
    upper_bound: CostUpperBound | None = None


@dataclass(frozen=True, slots=True)
class _Bought:
    """A reply read as far as its envelope, or the reason there is none."""

    request: Request
    read: Read | Unreadable
    content: str
    paid: Paid


class _LeftOpen(Exception):
    """A job has no reply for now; a later wave or run asks for it again."""


class Engine:
    """Runs jobs until they end, or the run is stopped.

    Args:
        run: The run it is part of.
        teacher_of: Writes the sample of a job.
        judge: Scores revisions, if one is configured.
        outcomes: Makes outcomes of replies.
        templates: What requests are rendered from.
        num_workers: Jobs under way at once: bounds memory.
        watch: Stops the run when every job is dropped; None where nothing is paid for.
    """

    def __init__(
        self,
        run: RunContext,
        teacher_of: Callable[[Job], Teacher],
        judge: Teacher | None,
        outcomes: OutcomeMaker,
        templates: Templates,
        num_workers: int,
        watch: UnusableWatch | None = None,
    ) -> None:
        self._run = run
        self._teacher_of = teacher_of
        self._judge = judge
        self._outcomes = outcomes
        self._templates = templates
        self._num_workers = num_workers
        self._watch = watch

    async def run(self, jobs: Iterator[Job]) -> None:
        """Runs every job; those a stop leaves open are asked for by the next run."""
        await self._run_all(jobs, self._run_job)

    async def judge(self, samples: Iterator[tuple[Job, Provenance]]) -> None:
        """Asks the judge about samples that were kept before; a stop leaves some for later."""
        await self._run_all(samples, self._judge_kept)

    async def choose(self, questions: Iterator[Question]) -> None:
        """Asks the judge to choose among candidates; a stop leaves some for later."""
        await self._run_all(questions, self._choose)

    def end_round(self) -> None:
        """Stops where a whole round brought nothing, and none before it did."""
        error = self._watch.end_round() if self._watch is not None else None
        if error is not None:
            self._run.stop.set(error)

    async def _run_all(self, items: Iterator[T], do: Callable[[T], Awaitable[None]]) -> None:
        # All workers draw from one iterator, so at most one item each is in memory.
        running = {asyncio.create_task(self._work(items, do)) for _ in range(self._num_workers)}
        grace_s = GRACE_S
        try:
            while running:
                ended, running = await asyncio.wait(
                    running, timeout=_POLL_S, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in ended:
                    task.result()
                # Any other stop waits for calls in flight, for they are paid; a dead endpoint
                # may hold them until their timeout.
                if isinstance(self._run.stop.error, DeadEndpoint):
                    grace_s -= _POLL_S
                    if grace_s <= 0:
                        return
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _work(self, items: Iterator[T], do: Callable[[T], Awaitable[None]]) -> None:
        try:
            for item in items:
                if self._run.stop.is_set:
                    return
                with suppress(Stopped, _LeftOpen):
                    await do(item)
        except PolysceneError as exc:
            self._run.stop.set(exc)

    async def _run_job(self, job: Job) -> None:
        try:
            outcome = await self._outcome(job)
        except (Stopped, _LeftOpen, PolysceneError):
            raise
        except Exception:
            # A reply that breaks our own code must not stop a build of half a million: it is in
            # the ledger, and `reparse` takes it up once the code is fixed.
            _log.exception("job %s (%s, %s)", job.id, job.cell.name, job.language)
            outcome = dropped(job, "internal_error", None)
        self._run.writer.outcome(outcome)
        if self._run.writer.is_full:  # replies may come faster than a disk takes them
            await self._run.writer.flush()
        self._count_outcome(outcome)

    async def _judge_kept(self, sample: tuple[Job, Provenance]) -> None:
        job, provenance = sample
        assert self._judge is not None
        judged, cost = await self._ask_judge(self._judge, job, provenance.revision)
        if judged is not None:  # else its sample stays without one
            self._run.writer.judged(job.id, self._outcomes.judged(provenance, judged, cost))
            await self._run.writer.flush()

    async def _choose(self, question: Question) -> None:
        assert self._judge is not None
        judge = self._judge
        request = judge.factory.choice(question.job, question.prompt)
        bought = await self._buy(judge, request, urgent=True)
        if isinstance(bought.read, Unreadable):  # its sample stays without one
            return
        choice: Choice = bought.read.value
        if choice.problem(len(question.order)) is None:
            self._run.writer.choice(question.made(choice, judge.factory.teacher.model))
            await self._run.writer.flush()

    def _count_outcome(self, outcome: Outcome) -> None:
        """Counts how a job ended; stops the run where replies are paid for and none is kept."""
        if outcome.reason is None:
            self._run.counts.keep(outcome.language)
            if self._watch is not None:
                self._watch.keep()
            return
        self._run.counts.drop(outcome.language, outcome.reason)
        if self._watch is not None:
            cell = f"{outcome.task_type} {outcome.modality}"
            error = self._watch.drop(cell, outcome.reason)
            if error is not None:
                self._run.stop.set(error)

    async def _outcome(self, job: Job) -> Outcome:
        """A job from its request to its outcome: ask, correct once, check, judge."""
        prompt = self._templates.prompt(job, self._outcomes.image_texts(job))
        teacher = self._teacher_of(job)
        request = teacher.factory.sample(job, prompt)
        bought = await self._buy(teacher, request, urgent=False)
        if isinstance(bought.read, Unreadable) and bought.read.error is not None:
            bought = await self._ask_again(teacher, prompt, bought, bought.read.error)
        if isinstance(bought.read, Unreadable):
            return dropped(job, bought.read.reason, bought.request.key)
        checked = self._outcomes.check(job, bought.read)
        if checked.report.reason is not None:
            return dropped(job, checked.report.reason, bought.request.key)
        try:
            sample = self._outcomes.sample(job, checked)
        except ValidationError as exc:
            _log.info("job %s: %s", job.id, exc.errors(include_url=False, include_input=False))
            return dropped(job, "invalid_row", bought.request.key)
        paid = bought.paid
        judged = None
        # The judge comes last, so that only what is kept otherwise is paid for.
        if self._judge is not None:
            judged, judge_cost = await self._ask_judge(self._judge, job, checked.revision)
            paid += judge_cost
        provenance = self._outcomes.provenance(
            job,
            sample,
            checked,
            teacher_model=bought.request.model,
            prompt_hash=bought.request.prompt_hash,
            request_hash=bought.request.key,
            paid=paid,
            repaired=bought.read.repaired,
            judged=judged,
        )
        return kept(job, sample, provenance)

    async def _ask_again(
        self, teacher: Teacher, prompt: Prompt, bought: _Bought, error: str
    ) -> _Bought:
        """Asks once more for an unreadable reply, naming what is wrong with it."""
        # Without thoughts the text stays as it is: a flood of white space at its end is a sign.
        thoughts = find_thoughts(bought.content)
        answer = (without(bought.content, thoughts) if thoughts else "") or bought.content
        quoted = answer[:MAX_QUOTED_CHARS].encode("utf-8", "replace").decode()
        note = self._templates.correction(error)
        again = teacher.factory.correction(bought.request, prompt, quoted, note)
        try:
            second = await self._buy(teacher, again, urgent=True)
        except _LeftOpen:
            if teacher.asker.can_buy:
                raise
            return bought
        self._run.counts.num_corrections += 1
        return _Bought(second.request, second.read, second.content, bought.paid + second.paid)

    async def _ask_judge(
        self, judge: Teacher, job: Job, revision: Draft
    ) -> tuple[Judged | None, Paid]:
        """A judge's evaluation; a judge that cannot be read costs no sample."""
        request = judge.factory.judge(job, self._templates.judge(job, revision))
        try:
            bought = await self._buy(judge, request, urgent=True)
        except _LeftOpen:
            if judge.asker.can_buy:
                raise
            return None, Paid()
        cost = Paid(0, 0, bought.paid.cost_usd)
        if isinstance(bought.read, Unreadable):
            return None, cost
        evaluation: Evaluation = bought.read.value
        return Judged(evaluation, judge.factory.teacher.model), cost

    async def _buy(self, teacher: Teacher, request: Request, *, urgent: bool) -> _Bought:
        reply = await teacher.asker.ask(request, urgent=urgent)
        if reply is None:
            raise _LeftOpen
        if isinstance(reply, GaveUp) or reply.status != 200:
            self._run.budget.release(request.key)
            reason = reply.reason if isinstance(reply, GaveUp) else _refusal_reason(reply)
            return _Bought(request, Unreadable(reason), "", Paid())
        completion = read_completion(reply.raw)
        cost_usd = self._count_cost(teacher, request, reply, completion)
        if request.kind == "judge":
            read = read_evaluation(completion)
        elif request.kind == "choice":
            read = read_choice(completion)
        else:
            read = read_reply(request.job.cell, completion, self._templates.own_fields)
        usage = completion.usage
        paid = Paid(usage.prompt_tokens, usage.completion_tokens, cost_usd)
        return _Bought(request, read, completion.content, paid)

    def _count_cost(
        self, teacher: Teacher, request: Request, reply: StoredReply, completion: Completion
    ) -> float | None:
        if reply.is_counted:  # by an earlier run, at the price of the time
            return reply.cost_usd
        usage = completion.usage
        cost_usd = teacher.price.cost_usd(usage) if teacher.price else None
        is_estimate = False
        if not completion.is_billed:
            cost_usd = 0.0
        elif not usage.is_given and teacher.upper_bound is not None:
            cost_usd, is_estimate = teacher.upper_bound.usd(request), True
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        self._run.writer.usage(reply.request_id, *tokens, cost_usd)
        self._run.budget.charge(request.key, cost_usd, is_estimate=is_estimate)
        self._run.counts.add_reply(usage, cost_usd)
        return cost_usd


def _refusal_reason(reply: StoredReply) -> str:
    said = reply.raw.decode("utf-8", "replace").lower()
    if "content_policy" in said or "content_filter" in said or "content management" in said:
        return "content_filter"
    if reply.status == 403:
        return "refused"
    return f"http_{reply.status}"
