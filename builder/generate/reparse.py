"""Parses and checks again: every outcome is made anew from the ledger, without a request."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

from rich.console import Console
from rich.progress import track

from builder.checks_config import ChecksConfig
from builder.config import BuildConfig, TeacherConfig
from builder.cost.budget import Budget
from builder.cost.price import price_of
from builder.endpoint.requests import Request, RequestFactory
from builder.endpoint.stop import Stop
from builder.generate.engine import Engine, Teacher
from builder.generate.live import StoredReplies
from builder.generate.models import has_prices
from builder.generate.outcome import OutcomeMaker
from builder.generate.progress import RunCounts, Summary, summarise
from builder.generate.rounds import Rounds
from builder.generate.run_context import RunContext
from builder.generate.workspace_config import REPARSING, remember_config, require_same_plan
from builder.images.store import ImageStore
from builder.job import Job
from builder.ledger.ledger import JUDGED_BY, Ledger, LedgerError
from builder.ledger.tables import AnsweredRequest
from builder.ledger.writer import LedgerWriter
from builder.plan.teachers import writer_of
from builder.prompts import Prompt, templates_of
from builder.workspace import Workspace
from schemas.reply_fields import ReplyField
from schemas.sample import CheckResult, Draft, Provenance, Sample
from schemas.text_rules import check_edit, check_revision

_NUM_WORKERS = 16


def run_reparse(workspace: Workspace, config: BuildConfig, console: Console) -> Summary:
    """Makes every outcome anew; jobs without a reply keep theirs and are counted.

    Replies are found by job, so that templates and reply schemas may have
    changed since. Samples without one are checked again by their stored
    texts. The configuration's checks become the workspace's own once they
    ran over every sample; stopped half-way, it has to run again.

    Raises:
        PolysceneError: No ledger, no reply in it, or a round does not come out the same.
    """
    with (
        workspace.locked(),
        Ledger(workspace.ledger_path) as ledger,
        ImageStore(workspace.images_dir, config.images) as store,
    ):
        require_same_plan(ledger, config, workspace)
        ledger.index_jobs()
        num_jobs, num_answered = ledger.answered_counts()
        if num_jobs and not num_answered:
            raise LedgerError(
                f"{workspace.ledger_path}: none of its {num_jobs} jobs has a reply there, so "
                "nothing was read. Restore the ledger from a backup."
            )
        ledger.set_meta(REPARSING, config.checks.model_dump_json())
        rounds = Rounds(config, ledger, store)
        records = ledger.rounds()
        closed = [record.round for record in records if record.closed]
        ledger.reopen_rounds()

        def jobs() -> Iterator[Job]:
            for record in records:
                done = ledger.done_in_round(record.round, record.num_jobs)
                plan = rounds.replan(record)
                todo = (job for job in plan.jobs() if done[job.index])
                yield from track(
                    todo,
                    f"round {record.round}",
                    total=sum(done),
                    console=console,
                    disable=not console.is_terminal,
                )

        def say(line: str) -> None:
            console.print(line, highlight=False, soft_wrap=True)

        asyncio.run(_reparse(config, ledger, store, jobs(), say))
        num_unanswered = check_unanswered_samples(ledger, config.checks)
        for number in closed:
            rounds.close(number)
        if len(closed) == len(records):
            rounds.finish()
        remember_config(ledger, config, workspace)
        ledger.drop_meta(REPARSING)
        ledger.drop_meta(JUDGED_BY)  # a judgement of other texts than before is not kept
        num_all = sum(ledger.tried_counts().values())
        say(_counts_line(num_all, num_answered, num_unanswered))
        return summarise(config, ledger, has_price=has_prices(config))


def _counts_line(num_jobs: int, num_read: int, num_unanswered: int) -> str:
    line = f"reparse: {num_jobs} jobs in, {num_read} replies read"
    if num_unanswered:
        line += f", {num_unanswered} without a reply in the ledger checked by their stored texts"
    if num_never := num_jobs - num_read - num_unanswered:
        line += f", {num_never} dropped before that never had a reply"
    return line


async def _reparse(
    config: BuildConfig,
    ledger: Ledger,
    store: ImageStore,
    jobs: Iterator[Job],
    say: Callable[[str], None],
) -> None:
    replies, templates = StoredReplies(ledger), templates_of(config)

    def ignore(error: object) -> None:
        """A full disk ends in an exception when the writer closes."""

    def from_ledger(model: TeacherConfig) -> Teacher:
        factory = LedgerRequests(model, ledger, _no_image, templates.own_fields)
        return Teacher(factory, replies, price_of(model))

    run = RunContext(
        ledger=ledger,
        writer=LedgerWriter(ledger, ignore),
        budget=Budget(),
        counts=RunCounts(),
        stop=Stop(),
        say=say,
    )
    try:
        teachers = {role: from_ledger(model) for role, model in config.writers.items()}
        engine = Engine(
            run,
            teacher_of=lambda job: teachers[writer_of(config, job)[0]],
            judge=from_ledger(config.judge) if config.judge else None,
            outcomes=OutcomeMaker(config, store.record),
            templates=templates,
            num_workers=_NUM_WORKERS,
        )
        await engine.run(jobs)
    finally:
        await run.writer.close()
    if run.stop.error is not None:
        raise run.stop.error


def _no_image(sha256: str) -> str:
    raise AssertionError("nothing is sent, so no image is needed")


class LedgerRequests(RequestFactory):
    """Makes requests under the keys their replies are stored by.

    A request's key covers prompt and reply schema, so it changes when a
    template is edited; which job it was for, and of what kind it was, stays.
    A request that never had a reply is made as it would be sent today.

    Args:
        teacher: The model and its parameters.
        ledger: Where requests were written down.
        data_url: As for `RequestFactory`.
        own_fields: The same.
    """

    def __init__(
        self,
        teacher: TeacherConfig,
        ledger: Ledger,
        data_url: Callable[[str], str],
        own_fields: tuple[ReplyField, ...] = (),
    ) -> None:
        super().__init__(teacher, data_url, own_fields=own_fields)
        self._ledger = ledger

    def sample(self, job: Job, prompt: Prompt) -> Request:
        request = super().sample(job, prompt)
        return _as_sent(request, self._ledger.answered_requests(job.id, "sample"))

    def correction(self, asked: Request, prompt: Prompt, answer: str, note: str) -> Request:
        request = super().correction(asked, prompt, answer, note)
        sent = self._ledger.answered_requests(asked.job.id, "correction")
        after = self._ledger.find_request(asked.key) or 0
        # Each sample request has at most one correction, and that was written down after it.
        return _as_sent(request, [entry for entry in sent if entry.id > after][:1])

    def judge(self, job: Job, prompt: Prompt) -> Request:
        """Asks for a judgement; one passed earlier counts if it is this judge's, of these texts."""
        request = super().judge(job, prompt)
        sent = self._ledger.answered_requests(job.id, "judge")
        texts = _last_line(request.parameters)
        mine = [entry for entry in sent if entry.model in {None, self.teacher.model}]
        return _as_sent(request, [entry for entry in mine if _last_line(entry.parameters) == texts])


def _as_sent(request: Request, sent: list[AnsweredRequest]) -> Request:
    """The request under the key of the one of these that is best to read."""
    same = [entry for entry in sent if entry.key == request.key] or sent
    if not same:
        return request
    best = max(same, key=lambda entry: (entry.status == 200, entry.id))
    return replace(request, key=best.key, prompt_hash=best.prompt_hash)


def _last_line(parameters: str) -> str:
    """The line of a judge's parameters with the texts to judge."""
    return parameters.rpartition("\n")[2]


_REPAIRED = CheckResult(check="json_repaired", result="kept")
_ROWS_AT_ONCE = 500


def check_unanswered_samples(ledger: Ledger, checks: ChecksConfig) -> int:
    """Keeps or drops every sample without a reply, as the checks are now; returns their number.

    So it is with the rows of a version that was pulled: what a model replied is not published.
    Texts that a reviewer edited are checked as edits are.
    """
    job_ids = ledger.unanswered_samples()
    for start in range(0, len(job_ids), _ROWS_AT_ONCE):
        with ledger.transaction():
            for job_id in job_ids[start : start + _ROWS_AT_ONCE]:
                ledger.set_outcome(job_id, *_outcome(*ledger.sample_and_provenance(job_id), checks))
    return len(job_ids)


def _outcome(row: bytes, origin: bytes, checks: ChecksConfig) -> tuple[str | None, bytes | None]:
    """Why a row is dropped, or its provenance with the checks it passed."""
    sample, provenance = Sample.model_validate_json(row), Provenance.model_validate_json(origin)
    results, votes = (), ()
    for negative_text in sample.negative_texts:
        texts = Draft(
            instruction=sample.instruction,
            query_text=sample.query_text,
            positive_text=sample.positive_text,
            negative_text=negative_text,
        )
        report = (
            check_revision(sample.cell, sample.language, texts, provenance.evaluation, checks)
            if texts == provenance.revision
            else check_edit(sample.cell, sample.language, texts, checks)
        )
        if report.reason is not None:
            return report.reason, None
        results, votes = report.results, report.votes
    repaired = (_REPAIRED,) if _REPAIRED in provenance.checks else ()
    update = {"checks": (*repaired, *results), "language_votes": votes}
    return None, provenance.model_copy(update=update).model_dump_json().encode()
