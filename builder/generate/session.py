"""One run of a build, from its start to its summary."""

import asyncio
import gc
import resource
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from builder.balance.pilot import pilot_config, require_pilot_fits
from builder.balance.run_report import RUN_NAME, make_run_report, write_run_report
from builder.config import BuildConfig
from builder.cost.budget import Budget
from builder.cost.price import price_of
from builder.endpoint.health import UnusableWatch, nothing_kept
from builder.endpoint.no_response import watched
from builder.endpoint.stop import Stop, Stopped
from builder.generate.batch import BatchAsker
from builder.generate.choosing import choose_kept
from builder.generate.engine import Engine
from builder.generate.judge import judge_kept
from builder.generate.judge_report import print_judge
from builder.generate.models import OpenModel, has_prices, models_of, open_model, require_prices
from builder.generate.outcome import OutcomeMaker
from builder.generate.progress import Report, RunCounts, Summary, print_summary, shown, summarise
from builder.generate.rounds import Rounds, Shard, run_rounds
from builder.generate.run_context import RunContext
from builder.generate.workspace_config import adopt_config, require_same_plan
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.ledger.spending import price_replies, uncounted_replies
from builder.ledger.writer import LedgerWriter, free_bytes
from builder.plan.teachers import writer_of
from builder.prompts import templates_of
from builder.workspace import Workspace
from schemas.errors import PolysceneError

#: Jobs beyond the concurrency, which are rendered, parsed or written meanwhile.
_WORKERS_PER_CALL = 1.25
#: Open files besides connections.
_OTHER_FILES = 256
#: How soon another thread's wish to stop is noticed.
_INTERRUPT_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a build is run; nothing here changes what comes out.

    Args:
        shard: Run only this part of round 0, counted from 0: (index, number).
        max_usd: Never let what is spent and what calls under way can cost go beyond this.
        max_requests: Stop when the workspace has sent this many.
        batch: Use the Batch API.
        interrupted: Set from another thread, it stops the run as a signal does.
        pilot: Only so many samples, spread over cells and languages.
    """

    shard: Shard | None = None
    max_usd: float | None = None
    max_requests: int | None = None
    batch: bool = False
    interrupted: threading.Event | None = None
    pilot: int | None = None
    free_bytes: Callable[[Path], int] = free_bytes


def run_build(
    workspace: Workspace, config: BuildConfig, options: BuildOptions, console: Console
) -> Summary:
    """Builds until the shares are met, the cap on rounds is reached, or something stops it.

    Resumes what earlier runs began. Samples come out the same whatever the
    order of replies, the concurrency or the number of times it was stopped.

    Example:
        summary = run_build(workspace, config, BuildOptions(max_usd=5.0), Console(stderr=True))

    Raises:
        PolysceneError: It could not start, was stopped, or kept nothing; what was done is kept.
        KeyboardInterrupt: SIGINT or SIGTERM; likewise.
    """
    _allow_connections(_max_in_flight(config))
    stop, counts, begun = Stop(), RunCounts(), time.monotonic()
    planned = config if options.pilot is None else pilot_config(config, options.pilot)
    with workspace.locked(), Ledger(workspace.ledger_path, create=True) as ledger:
        if options.pilot is not None:
            require_pilot_fits(ledger, planned)
        adopt_config(ledger, config, workspace)
        num_replies_before = ledger.spent().num_replies
        if options.max_usd is not None:
            require_prices(config)
        with ImageStore(workspace.images_dir, config.images) as store:
            _run_loop(_build(planned, options, ledger, store, console, stop, counts))
        is_over = not stop.is_set and options.shard is None and options.pilot is None
        summary = summarise(planned, ledger, has_price=has_prices(config), is_over=is_over)
        run: dict[str, Any] = {
            **counts.as_json(time.monotonic() - begun),
            "wanted": summary.balance.num_wanted,
            "is_met": summary.balance.is_met,
            "was_stopped": stop.is_set,
        }
        report = make_run_report(ledger, run)
        write_run_report(report, workspace.root / RUN_NAME)
        # Where nothing came in, only the error is shown: tables would push it out of sight.
        if stop.error is None or summary.spent.num_replies > num_replies_before:
            print_summary(summary, console)
            if config.judge is not None:
                print_judge(ledger, config.gates, console)
            for sign in report.signs:
                console.print(f"look at: {sign}", highlight=False, markup=False, soft_wrap=True)
    if stop.is_interrupted:
        raise KeyboardInterrupt
    if stop.error is not None:
        raise stop.error
    if summary.num_jobs and not summary.num_kept:
        raise nothing_kept(summary.dropped)
    return summary


async def _build(
    config: BuildConfig,
    options: BuildOptions,
    ledger: Ledger,
    store: ImageStore,
    console: Console,
    stop: Stop,
    counts: RunCounts,
) -> None:
    """Opens the models, lets the judge catch up, runs the rounds, closes everything.

    Why it ended early, if it did, is in `stop` afterwards.
    """

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    async with AsyncExitStack() as stack:
        writer = LedgerWriter(ledger, stop.set, options.free_bytes)
        stack.push_async_callback(writer.close)  # last, with all that the others wrote
        run = RunContext(ledger, writer, _budget(config, ledger, options), counts, stop, say)
        models: dict[str, OpenModel] = {}
        for role in models_of(config):
            models[role] = open_model(run, role, config, store, batch=options.batch)
            stack.push_async_callback(models[role].close)
        engine = _engine(run, config, store, models)
        finish_wave = _finish_wave([model.batch for model in models.values() if model.batch])
        report = Report(
            run.counts,
            [pace for role in config.writers for pace in models[role].paces],
            run.budget,
            has_price=has_prices(config),
        )
        live = [] if options.batch else models.values()
        watches = [watch for model in live for watch in model.watches(run)]
        _listen_to_signals(stop, console)
        listener = asyncio.create_task(_listen_to(options.interrupted, stop))
        stack.callback(listener.cancel)
        try:
            async with shown(report, console), watched(watches):
                if not options.batch:
                    for model in models.values():
                        await model.courier.finish_earlier()
                if config.judge is not None:
                    await judge_kept(run, engine, config.judge.model, finish_wave)
                rounds = Rounds(config, ledger, store, options.shard, say)
                choose = _chooser(run, config, engine, finish_wave)
                await run_rounds(run, rounds, engine, finish_wave, choose)
        except Stopped:
            pass  # batches go on at the provider


def _budget(config: BuildConfig, ledger: Ledger, options: BuildOptions) -> Budget:
    """The limits, and what earlier runs spent of them."""
    for model in models_of(config).values():
        price = price_of(model)
        if price is not None:
            price_replies(ledger.db, model.model, price.input, price.output)
    spent = ledger.spent()
    budget = Budget(
        max_requests=options.max_requests,
        max_usd=options.max_usd,
        num_requests=spent.num_requests,
        cost_usd=spent.cost_usd,
        num_estimated=spent.num_estimated,
        estimated_usd=spent.estimated_usd,
        num_killed=spent.num_killed,
        killed_usd=spent.killed_usd,
        num_unanswered=spent.num_unanswered,
        unanswered_usd=spent.unanswered_usd,
    )
    for key, most_usd in uncounted_replies(ledger.db):
        budget.hold(key, most_usd)
    return budget


def _engine(
    run: RunContext, config: BuildConfig, store: ImageStore, models: dict[str, OpenModel]
) -> Engine:
    judge = models.get("judge")
    return Engine(
        run,
        teacher_of=lambda job: models[writer_of(config, job)[0]].teacher,
        judge=judge.teacher if judge else None,
        outcomes=OutcomeMaker(config, store.record),
        templates=templates_of(config),
        num_workers=int(_max_in_flight(config) * _WORKERS_PER_CALL) + 2,
        watch=UnusableWatch(has_kept=bool(run.ledger.accepted_counts())),
    )


def _chooser(
    run: RunContext,
    config: BuildConfig,
    engine: Engine,
    finish_wave: Callable[[], Coroutine[Any, Any, bool]] | None,
) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """What has the judge choose about kept samples; None where no gate asks for it."""
    judge = config.judge
    if judge is None or not config.gates.judge_choice:
        return None
    templates, model = templates_of(config), judge.model
    return lambda: choose_kept(run, engine.choose, templates, model, finish_wave)


def _finish_wave(batches: list[BatchAsker]) -> Callable[[], Coroutine[Any, Any, bool]] | None:
    """What waits for every role's batches; None outside batch mode."""

    async def finish() -> bool:
        return any([await batch.finish_wave() for batch in batches])

    return finish if batches else None


def _listen_to_signals(stop: Stop, console: Console) -> None:
    """First signal: send nothing more. Second: leave, with all that was committed.

    Only the main thread of a program gets signals; elsewhere there is nothing to listen to.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None

    def on_signal() -> None:
        if stop.is_interrupted:
            main.cancel()
            return
        console.print(
            "Stopping: requests in flight are waited for and kept. Once more to leave at once."
        )
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)


async def _listen_to(interrupted: threading.Event | None, stop: Stop) -> None:
    if interrupted is None:
        return
    while not interrupted.is_set():
        await asyncio.sleep(_INTERRUPT_POLL_S)
    stop.set()


def _max_in_flight(config: BuildConfig) -> int:
    """Calls to teachers at once: each address has a pace of its own."""
    return config.pace.max_in_flight * sum(1 + len(one.replicas) for one in config.writers.values())


def _allow_connections(num: int) -> None:
    """Raises the limit on open files where many calls are to be in flight.

    Raises:
        PolysceneError: The system allows fewer.
    """
    wanted = num + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise PolysceneError(
            f"pace.max_in_flight: {num} calls need {wanted} open files, the system allows {hard}. "
            "Lower it, or raise the limit (`ulimit -Hn`)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    # The loop makes much garbage without cycles: collecting rarely saves a tenth of the time.
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        asyncio.run(main)
    except asyncio.CancelledError as exc:
        raise KeyboardInterrupt from exc
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def describe_next(
    workspace: Workspace, config: BuildConfig, options: BuildOptions, console: Console
) -> None:
    """Says what a build would ask for next; sends nothing, and at most makes the workspace."""
    with workspace.locked(), Ledger(workspace.ledger_path, create=True) as ledger:
        require_same_plan(ledger, config, workspace)
        with ImageStore(workspace.images_dir, config.images) as store:
            current = Rounds(config, ledger, store, options.shard).next_open(note=False)
    if current is None:
        console.print("Nothing is missing, or the cap on rounds is reached.")
        return
    models = ", ".join(dict.fromkeys(one.model for one in config.writers.values()))
    console.print(
        f"Round {current.round}: {current.num_open} jobs would be asked of {models}. "
        "`python -m builder plan` estimates tokens and price.",
        highlight=False,
        soft_wrap=True,
    )
