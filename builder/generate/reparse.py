"""Parsing and checking again: every outcome anew from the ledger's replies, not one request."""

import asyncio
from collections.abc import Iterator

from rich.console import Console
from rich.progress import track

from builder.config import BuildConfig
from builder.generate.asking import StoredReplies
from builder.generate.budget import Budget
from builder.generate.claim import refuse_other_plan, remember_config
from builder.generate.cost import price_of
from builder.generate.engine import Engine, Teacher
from builder.generate.ledger import Ledger
from builder.generate.outcome import OutcomeMaker
from builder.generate.rounds import Rounds
from builder.generate.session import request_factory
from builder.generate.summary import Summary, summarise
from builder.generate.tally import Tally
from builder.generate.writer import LedgerWriter
from builder.images.store import ImageStore
from builder.plan.job import Job
from builder.workspace import Workspace

_NUM_WORKERS = 16


def run_reparse(workspace: Workspace, config: BuildConfig, console: Console) -> Summary:
    """Makes every outcome anew; jobs that never had a reply keep theirs.

    Stopped half-way it leaves a ledger from which either command goes on.

    Raises:
        PolysceneError: No ledger, or a round does not come out the same.
    """
    with (
        workspace.locked(),
        Ledger(workspace.ledger_path) as ledger,
        ImageStore(workspace.images_dir, config.images) as store,
    ):
        refuse_other_plan(ledger, config, workspace)
        remember_config(ledger, config, workspace)
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
        for number in closed:
            rounds.close(number)
        if len(closed) == len(records):
            rounds.finish()
        return summarise(config, ledger, has_price=price_of(config.teacher) is not None)


async def _reparse(
    config: BuildConfig, ledger: Ledger, store: ImageStore, jobs: Iterator[Job]
) -> None:
    replies = StoredReplies(ledger)

    def ignore(error: object) -> None:
        """A full disk ends in an exception when the writer closes."""

    writer = LedgerWriter(ledger, ignore)
    judge = config.judge
    try:
        engine = Engine(
            teacher=Teacher(
                request_factory(config.teacher, config, store), replies, price_of(config.teacher)
            ),
            judge=Teacher(request_factory(judge, config, store), replies, price_of(judge))
            if judge
            else None,
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
