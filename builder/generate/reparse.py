"""Parsing and checking again: every outcome anew from the ledger's replies, not one request."""

import asyncio
from collections.abc import Iterator

from rich.console import Console
from rich.progress import track

from builder.config import BuildConfig, TeacherConfig
from builder.generate.asking import StoredReplies
from builder.generate.budget import Budget
from builder.generate.claim import REPARSING, refuse_other_plan, remember_config
from builder.generate.cost import price_of
from builder.generate.engine import Engine, Teacher
from builder.generate.ledger import JUDGED_BY, Ledger, LedgerError
from builder.generate.outcome import OutcomeMaker
from builder.generate.recheck import check_rows_on_record
from builder.generate.recorded import RecordedRequests
from builder.generate.rounds import Rounds
from builder.generate.summary import Summary, summarise
from builder.generate.tally import Tally
from builder.generate.writer import LedgerWriter
from builder.images.store import ImageStore
from builder.plan.job import Job
from builder.workspace import Workspace

_NUM_WORKERS = 16


def run_reparse(workspace: Workspace, config: BuildConfig, console: Console) -> Summary:
    """Makes every outcome anew; jobs without a reply keep theirs and are counted.

    Replies are found by job, so that templates and reply schemas may have
    changed since. Samples without one are checked again by the texts on
    record. The configuration's checks count as the workspace's own once they
    ran over every sample; stopped half-way, it has to run again.

    Raises:
        PolysceneError: No ledger, no reply in it, or a round does not come out the same.
    """
    with (
        workspace.locked(),
        Ledger(workspace.ledger_path) as ledger,
        ImageStore(workspace.images_dir, config.images) as store,
    ):
        refuse_other_plan(ledger, config, workspace)
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

        asyncio.run(_reparse(config, ledger, store, jobs()))
        num_on_record = check_rows_on_record(ledger, config.checks)
        for number in closed:
            rounds.close(number)
        if len(closed) == len(records):
            rounds.finish()
        remember_config(ledger, config, workspace)
        ledger.drop_meta(REPARSING)
        ledger.drop_meta(JUDGED_BY)  # a judgement of texts that came out otherwise is not kept
        num_all = sum(ledger.tried_counts().values())
        _say(console, num_all, num_answered, num_on_record)
        return summarise(config, ledger, has_price=price_of(config.teacher) is not None)


def _say(console: Console, num_jobs: int, num_read: int, num_on_record: int) -> None:
    line = f"reparse: {num_jobs} jobs in, {num_read} replies read"
    if num_on_record:
        line += f", {num_on_record} without a reply in the ledger checked by the texts on record"
    if num_never := num_jobs - num_read - num_on_record:
        line += f", {num_never} dropped before that never had a reply"
    console.print(line, highlight=False, soft_wrap=True)


async def _reparse(
    config: BuildConfig, ledger: Ledger, store: ImageStore, jobs: Iterator[Job]
) -> None:
    replies = StoredReplies(ledger)

    def ignore(error: object) -> None:
        """A full disk ends in an exception when the writer closes."""

    writer = LedgerWriter(ledger, ignore)
    judge = config.judge

    def recorded(model: TeacherConfig) -> Teacher:
        factory = RecordedRequests(model, ledger, _no_image)
        return Teacher(factory, replies, price_of(model))

    try:
        engine = Engine(
            teacher=recorded(config.teacher),
            judge=recorded(judge) if judge else None,
            outcomes=OutcomeMaker(config, store.record),
            writer=writer,
            tally=Tally(),
            budget=Budget(),
            num_workers=_NUM_WORKERS,
        )
        await engine.run(jobs)
    finally:
        await writer.close()
    if engine.stopped_by is not None:
        raise engine.stopped_by


def _no_image(sha256: str) -> str:
    raise AssertionError("nothing is sent, so no image is needed")
