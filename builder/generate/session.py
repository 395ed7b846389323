"""One run of a build: opens everything, runs the rounds, drains on a signal, closes everything."""

import asyncio
import gc
import resource
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from builder.config import BuildConfig, TeacherConfig
from builder.generate.answers import Usage
from builder.generate.asking import LiveAsker
from builder.generate.batch import BatchAsker
from builder.generate.batch_api import BatchApi
from builder.generate.batch_courier import BatchCourier
from builder.generate.bound import CostBound
from builder.generate.budget import Budget, BudgetReached
from builder.generate.claim import claim, refuse_other_plan
from builder.generate.client import Endpoint
from builder.generate.cost import Price, price_of
from builder.generate.engine import Engine, Teacher
from builder.generate.judge import print_agreement
from builder.generate.late_judging import judge_kept
from builder.generate.ledger import Ledger
from builder.generate.outcome import OutcomeMaker
from builder.generate.pace import Pace, Stopped
from builder.generate.progress import Report, shown
from builder.generate.requests import RequestFactory
from builder.generate.rounds import Rounds, Shard, run_rounds
from builder.generate.silence import SilenceWatch, watched
from builder.generate.summary import Summary, print_summary, summarise
from builder.generate.tally import Tally
from builder.generate.useless import UselessWatch, nothing_kept
from builder.generate.writer import LedgerWriter, free_bytes
from builder.images.store import ImageStore
from builder.workspace import Workspace
from schemas.errors import PolysceneError

#: Jobs beyond the concurrency that are rendered, parsed or written meanwhile.
_WORKERS_A_PLACE = 1.25
#: Open files besides connections.
_OTHER_FILES = 256


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a build is run; nothing here changes what comes out.

    Args:
        shard: Run only this part of round 0, counted from 0: (index, number).
        max_usd: Never let what is spent and what calls under way can cost go beyond this.
        max_requests: Stop when the workspace has sent this many.
        batch: Use the Batch API.
    """

    shard: Shard | None = None
    max_usd: float | None = None
    max_requests: int | None = None
    batch: bool = False
    free_bytes: Callable[[Path], int] = free_bytes


def run_build(
    workspace: Workspace, config: BuildConfig, options: BuildOptions, console: Console
) -> Summary:
    """Builds until the shares are met, the cap on rounds is reached, or something stops it.

    Resumes what the workspace holds. Samples come out the same whatever the
    order of replies, the concurrency or the number of times it was stopped.

    Raises:
        PolysceneError: It could not start, was stopped, or kept nothing; what was done is kept.
        KeyboardInterrupt: SIGINT or SIGTERM; likewise.
    """
    _allow_connections(config.pace.max_in_flight)
    with workspace.locked(), Ledger(workspace.ledger_path, create=True) as ledger:
        claim(ledger, config, workspace)
        num_replies_before = ledger.spent().num_replies
        with ImageStore(workspace.images_dir, config.images) as store:
            run = _Run(config, options, ledger, store, console)
            _run_loop(run.build())
        summary = summarise(config, ledger, has_price=run.has_price)
        # Where nothing came in, the error stands alone: tables would push it out of sight.
        if run.stopped_by is None or summary.spent.num_replies > num_replies_before:
            print_summary(summary, console)
            if config.judge is not None:
                print_agreement(ledger, console)
    if run.interrupted:
        raise KeyboardInterrupt
    if run.stopped_by is not None:
        raise run.stopped_by
    if summary.num_jobs and not summary.num_kept:
        raise nothing_kept(summary.dropped)
    return summary


def describe_next(
    workspace: Workspace, config: BuildConfig, options: BuildOptions, console: Console
) -> None:
    """Says what a build would ask for next; sends and writes nothing but the workspace itself."""
    with workspace.locked(), Ledger(workspace.ledger_path, create=True) as ledger:
        refuse_other_plan(ledger, config, workspace)
        with ImageStore(workspace.images_dir, config.images) as store:
            current = Rounds(config, ledger, store, options.shard).next_open(note=False)
    if current is None:
        console.print("Nothing is missing, or the cap on rounds is reached.")
        return
    console.print(
        f"Round {current.round}: {current.num_open} jobs would be asked of "
        f"{config.teacher.model}. `python -m builder plan` tells tokens and price.",
        highlight=False,
        soft_wrap=True,
    )


class _Run:
    """The parts of one run, made inside the event loop."""

    def __init__(
        self,
        config: BuildConfig,
        options: BuildOptions,
        ledger: Ledger,
        store: ImageStore,
        console: Console,
    ) -> None:
        self.config = config
        self.options = options
        self.ledger = ledger
        self.store = store
        self.console = console
        self.prices = {role: price_of(teacher) for role, teacher in self._models().items()}
        self.has_price = self.prices["teacher"] is not None
        self.interrupted = False
        self.engine: Engine | None = None
        self.endpoints: list[Endpoint] = []
        self.paces: dict[str, Pace] = {}
        self.silences: list[SilenceWatch] = []
        self.batches: list[BatchAsker] = []
        self.couriers: list[BatchCourier] = []
        unknown = next((role for role, price in self.prices.items() if price is None), None)
        if options.max_usd is not None and unknown is not None:
            raise PolysceneError(
                f"--max-usd: the price of {self._models()[unknown].model} is not known. Give "
                f"`{unknown}.prices` in the configuration, or use --max-requests."
            )

    def _models(self) -> dict[str, TeacherConfig]:
        models = {"teacher": self.config.teacher}
        return models | ({"judge": self.config.judge} if self.config.judge else {})

    async def build(self) -> None:
        spent = self.ledger.spent()
        budget = Budget(
            self.options.max_requests,
            self.options.max_usd,
            spent.num_requests,
            spent.cost_usd,
            spent.num_estimated,
            spent.estimated_usd,
        )
        tally = Tally()
        writer = LedgerWriter(self.ledger, self._stop, self.options.free_bytes)
        try:
            teachers = {
                role: self._teacher(role, model, budget, tally, writer)
                for role, model in self._models().items()
            }
            self.engine = Engine(
                teacher=teachers["teacher"],
                judge=teachers.get("judge"),
                outcomes=OutcomeMaker(self.config, self.store.record),
                writer=writer,
                tally=tally,
                budget=budget,
                num_workers=int(self.config.pace.max_in_flight * _WORKERS_A_PLACE) + 2,
                watch=UselessWatch(has_kept=bool(self.ledger.accepted_counts())),
            )
            self.engine.on_stop.append(self._stop_sending)
            self._listen()
            rounds = Rounds(self.config, self.ledger, self.store, self.options.shard, self._say)
            report = Report(tally, self.paces["teacher"], budget, has_price=self.has_price)
            settle = self._settle if self.batches else None
            async with shown(report, self.console), watched(self.silences):
                if not self.options.batch:
                    for courier in self.couriers:
                        await courier.recall()
                if self.config.judge is not None:
                    model = self.config.judge.model
                    await judge_kept(self.ledger, self.engine, writer, model, self._say, settle)
                await run_rounds(rounds, self.engine, writer, tally, settle)
        except Stopped:
            pass  # batches go on at the provider
        finally:
            for batch in self.batches:
                batch.close()
            for endpoint in self.endpoints:
                await endpoint.close()
            await writer.close()

    def _teacher(
        self,
        role: str,
        model: TeacherConfig,
        budget: Budget,
        tally: Tally,
        writer: LedgerWriter,
    ) -> Teacher:
        endpoint = Endpoint(model)
        self.endpoints.append(endpoint)
        factory = request_factory(model, self.config, self.store)
        price = self.prices[role]
        # Prices of the configuration are those of whatever it is used for.
        batch_price = price.halved() if price and model.prices is None else price

        def count(key: str, usage: Usage) -> float | None:
            cost_usd = batch_price.cost_usd(usage) if batch_price else None
            budget.settle(key, cost_usd)
            tally.read(usage, cost_usd)
            return cost_usd

        price = batch_price if self.options.batch else price
        bound = self._bound(price, factory) if price else None
        pace = self.paces[role] = Pace(self.config.pace)
        courier = BatchCourier(
            api=BatchApi(endpoint),
            wanted=model.structured_output,
            config=self.config.batch,
            directory=self.ledger.path.parent / "batches",
            role=role,
            ledger=self.ledger,
            writer=writer,
            count=count,
            release=budget.release,
            say=self._say,
        )
        courier.clean_up()
        self.couriers.append(courier)
        if not self.options.batch:
            self.silences.append(SilenceWatch(endpoint, pace, say=self._say, stop=self._stop))
            live = LiveAsker(
                endpoint=endpoint,
                factory=factory,
                pace=pace,
                budget=budget,
                bound=bound,
                ledger=self.ledger,
                writer=writer,
                stop=self._stop,
            )
            return Teacher(factory, live, price, bound)
        batch = BatchAsker(
            courier=courier,
            factory=factory,
            config=self.config.batch,
            max_attempts=self.config.pace.max_attempts,
            role=role,
            budget=budget,
            bound=bound,
            ledger=self.ledger,
            writer=writer,
            stop=self._stop,
        )
        self.batches.append(batch)
        return Teacher(factory, batch, price, bound)

    def _bound(self, price: Price, factory: RequestFactory) -> CostBound:
        def image_size(sha256: str) -> tuple[int, int]:
            record = self.store.record(sha256)
            return record.width, record.height

        return CostBound(price, factory, image_size, self.config.images.max_side_px)

    async def _settle(self) -> bool:
        """Waits for every role's batches."""
        return any([await batch.settle() for batch in self.batches])

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    def _stop(self, error: PolysceneError | None) -> None:
        if self.engine is not None:
            self.engine.stop(error)

    def _stop_sending(self) -> None:
        for pace in self.paces.values():
            pace.stop()
        # What a budget allowed to be collected is still sent and waited for.
        is_budget = self.engine is not None and isinstance(self.engine.stopped_by, BudgetReached)
        for courier in self.couriers:
            courier.stopping = not is_budget

    @property
    def stopped_by(self) -> PolysceneError | None:
        """What ended the run early, if anything did."""
        return self.engine.stopped_by if self.engine is not None else None

    def _listen(self) -> None:
        """First signal: drain. Second: leave, with all that was committed."""
        loop = asyncio.get_running_loop()
        main = asyncio.current_task()
        assert main is not None

        def on_signal() -> None:
            if self.interrupted:
                main.cancel()
                return
            self.interrupted = True
            self.console.print(
                "Stopping: requests in flight are waited for and kept. Once more to leave at once."
            )
            self._stop(None)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)


def request_factory(model: TeacherConfig, config: BuildConfig, store: ImageStore) -> RequestFactory:
    """Makes requests with images no larger than the configuration allows."""
    side = config.images.max_side_px
    return RequestFactory(model, lambda sha256: store.data_url(sha256, side))


def _allow_connections(num: int) -> None:
    """Raises the bound on open files where many calls are to be in flight.

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
            "Lower it, or raise the bound (`ulimit -Hn`)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    # The loop makes much garbage without cycles: collecting rarely saves a tenth of the time.
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        asyncio.run(main)
    except asyncio.CancelledError as exc:
        raise KeyboardInterrupt from exc
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
