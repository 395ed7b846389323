"""The closed loop: plan what is missing, run it, drop repeats, until the shares are met."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

import orjson

from builder.balance import balance_of, base_of, surplus_jobs
from builder.checks.whole_set import find_drops
from builder.config import BuildConfig
from builder.generate.engine import Engine
from builder.generate.giving_up import failing_slots
from builder.generate.run_context import RunContext
from builder.images.store import ImageStore
from builder.job import Job
from builder.ledger.choices import summary_of_choices
from builder.ledger.gates import apply_gates
from builder.ledger.ledger import Ledger, LedgerError
from builder.ledger.query_images import query_image_counts
from builder.ledger.tables import RoundRecord
from builder.plan import Plan, plan_round, targets_of

#: These rounds plan just what is missing; later ones, with little left to overshoot by, also more
#: of what is often dropped.
_NUM_EXACT_ROUNDS = 3
_SAID_EVERY = 1_000
#: A round with a smaller share of replies was used up by an outage.
_MIN_REPLY_SHARE = 0.5
#: Rounds of no more jobs than this share of the samples wanted cost next to nothing, nor do those
#: of as many as one missing sample gets, unless that is a good part of a tiny build. What ends
#: them is that slots which only fail are given up.
_SMALL_ROUND_SHARE = 0.01
_SMALL_ROUND_JOBS = 4
_TINY_BUILD_SHARE = 0.1
#: Name of the note of how often images are in use, with the number of the round planned from it.
_IMAGE_USES = "image uses before round"
#: Part `index` of `num` of a round's jobs: (index, num).
Shard = tuple[int, int]
#: Name of the note that says which gates were applied last.
GATED_BY = "gated by"
_NO_GATES = "{}"


@dataclass(frozen=True, slots=True)
class OpenRound:
    """A round with jobs still to run: `jobs` gives those without an outcome when it is called."""

    round: int
    num_open: int
    jobs: Callable[[], Iterator[Job]]


class Rounds:
    """Plans rounds, notes what they were planned from, and closes them.

    Args:
        config: Its `max_rounds` is the cap.
        ledger: Where rounds are noted.
        store: The images.
        shard: Only this part of round 0, which stays open for the others.
        say: Told how far the embedding of new images is, which may take long.
    """

    def __init__(
        self,
        config: BuildConfig,
        ledger: Ledger,
        store: ImageStore,
        shard: Shard | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._store = store
        self._shard = shard
        self._say = say
        self._num_embedded = 0
        #: Rounds from this one on are planned by this run.
        self._first_round = len(ledger.rounds())

    @property
    def is_shard(self) -> bool:
        """Whether round 0 stays open for the other machines."""
        return self._shard is not None

    def next_open(self, *, note: bool = True) -> OpenRound | None:
        """The round to run next; None when the shares are met or the cap is reached.

        Args:
            note: Whether to write a new round down, as must be before its first request.

        Raises:
            LedgerError: A round planned earlier does not come out the same any more.
        """
        known = self._ledger.rounds()
        for record in known:
            if not record.closed:
                return self._opened(record.round, self.replan(record))
        targets, number = self._config.targets, len(known)
        same = list(takewhile(lambda r: r.targets == targets, reversed(known)))
        shares = self._ledger.reply_shares()
        tries = [record for record in same if self._was_tried(record, shares)]
        num_rounds = sum(not self._is_small(record) for record in tries)
        if num_rounds >= self._config.max_rounds or (self._shard and number):
            return None
        accepted = self._ledger.accepted_counts()
        base = base_of(self._config, self._ledger)
        if base and note:
            self._ledger.set_base(targets, base)
        if same and balance_of(self._config, self._ledger).is_met:
            return None
        tried = self._ledger.replied_counts() if len(tries) >= _NUM_EXACT_ROUNDS else {}
        wanted = targets_of(self._config, base).by_slot
        missing = {slot: num - accepted.get(slot, 0) for slot, num in wanted.items()}
        missing = {slot: num for slot, num in missing.items() if num > 0}
        limits = failing_slots(self._config, self._ledger, missing).limits
        record = RoundRecord(
            *(number, "", 0, accepted, tried), targets=targets, base=base, limits=limits
        )
        plan = self._plan(self._config, record)
        if len(plan) == 0:
            return None
        if note:
            self._note_image_uses(number)
            self._ledger.add_round(replace(record, plan_hash=plan.hash, num_jobs=len(plan)))
        return self._opened(number, plan)

    def _was_tried(self, record: RoundRecord, reply_shares: Mapping[int, float]) -> bool:
        """Whether a round brought replies; one of an earlier run that an outage used up did not."""
        is_own = record.round >= self._first_round
        return is_own or reply_shares.get(record.round, 0.0) >= _MIN_REPLY_SHARE

    def _is_small(self, record: RoundRecord) -> bool:
        """Whether a round asked for so little that it does not count towards the cap."""
        if self._config.max_slot_failures is None:
            return False
        num_samples = self._config.num_samples
        few = min(_SMALL_ROUND_JOBS, _TINY_BUILD_SHARE * num_samples)
        return record.num_jobs <= max(few, _SMALL_ROUND_SHARE * num_samples)

    def replan(self, record: RoundRecord) -> Plan:
        """The plan of a round once more.

        Raises:
            LedgerError: It is not the same any more.
        """
        config = self._config.with_targets(record.targets)
        plan = self._plan(config, record)
        if plan.hash != record.plan_hash:
            raise LedgerError(
                f"{self._ledger.path}: round {record.round} comes out differently from when it was "
                "planned: images were added or removed since. Restore them, or start a new "
                "workspace."
            )
        return plan

    def _plan(self, config: BuildConfig, record: RoundRecord) -> Plan:
        self._num_embedded = 0
        return plan_round(
            config,
            self._store,
            record.round,
            record.accepted,
            record.tried,
            workspace_hash=self._ledger.meta("workspace_hash"),
            base=record.base,
            limits=record.limits,
            image_uses=self._image_uses(record.round),
            on_progress=self._count_embedded,
        )

    def _image_uses(self, number: int) -> dict[str, int]:
        """Kept samples by query image when a round was planned; empty where nothing bounds them."""
        if self._config.images.max_samples_per_image is None:
            return {}
        noted = self._ledger.meta(f"{_IMAGE_USES} {number}")
        return orjson.loads(noted) if noted else query_image_counts(self._ledger)

    def _note_image_uses(self, number: int) -> None:
        """Notes them before the round is: samples may be dropped later, and it must not change."""
        if self._config.images.max_samples_per_image is not None:
            uses = orjson.dumps(query_image_counts(self._ledger)).decode()
            self._ledger.set_meta(f"{_IMAGE_USES} {number}", uses)

    def _count_embedded(self, num: int) -> None:
        before = self._num_embedded // _SAID_EVERY
        self._num_embedded += num
        were_there = num == len(self._store)
        if self._num_embedded // _SAID_EVERY > before and not were_there:
            self._say(f"images: {self._num_embedded} of {len(self._store)} embedded")

    def close(self, round_: int) -> None:
        """Applies the rules over the whole set, in job order, and notes the round as done."""
        self._apply_rules()
        self._ledger.close_round(round_)

    def apply_new_gates(self) -> None:
        """Applies gates that changed since the last round was closed, before more is planned.

        An open round gets them when it closes: applied to a part of it, rules over the whole set
        could drop other samples than they do at its end.
        """
        rounds = self._ledger.rounds()
        noted = self._ledger.meta(GATED_BY) or _NO_GATES  # workspaces of before there was the note
        if rounds and all(r.closed for r in rounds) and noted != self._gated_by():
            self._apply_rules()

    def _apply_rules(self) -> None:
        # First, as they may let samples back in that repeat others.
        apply_gates(self._ledger, self._config.gates)
        rows = ((job_id, orjson.loads(row)) for job_id, row in self._ledger.kept_in_job_order())
        self._ledger.drop(find_drops(rows, self._config.checks))
        self._ledger.set_meta(GATED_BY, self._gated_by())

    def _gated_by(self) -> str:
        """What decides the gates: their settings, and how much judges have said."""
        gates = self._config.gates
        choices = summary_of_choices(self._ledger) if gates.judge_choice else ""
        return gates.model_dump_json(exclude_defaults=True) + choices

    def finish(self) -> None:
        """Sets aside what later rounds brought beyond the wanted number; it stays on disk."""
        surplus = surplus_jobs(self._config, self._ledger)
        self._ledger.drop(dict.fromkeys(surplus, "surplus"))

    def _opened(self, number: int, plan: Plan) -> OpenRound:
        def jobs() -> Iterator[Job]:
            done = self._ledger.done_in_round(number, len(plan))
            return (job for job in plan.jobs(self._shard) if not done[job.index])

        if self._shard is None:
            done = self._ledger.done_in_round(number, len(plan))
            return OpenRound(number, len(plan) - sum(done), jobs)
        return OpenRound(number, sum(1 for _ in jobs()), jobs)


async def run_rounds(
    run: RunContext,
    rounds: Rounds,
    engine: Engine,
    finish_wave: Callable[[], Awaitable[bool]] | None = None,
    before_close: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Runs round after round until none is left or the run is stopped.

    Args:
        run: The run it is part of.
        rounds: What to run.
        engine: Runs a round's jobs.
        finish_wave: In batch mode, sends what was collected and waits for it; returns
            whether there was anything. A round is run again after each wave.
        before_close: Asks what the gates need, before they are applied.
    """
    if before_close is not None:
        await before_close()
    if run.stop.is_set:
        return
    rounds.apply_new_gates()
    while not run.stop.is_set:
        current = rounds.next_open()
        if current is None:
            rounds.finish()
            return
        run.counts.begin_round(current.round, current.num_open)
        if finish_wave is not None:
            await finish_wave()  # what an earlier run sent
        while True:
            await engine.run(current.jobs())
            await run.writer.flush()
            if finish_wave is None or not await finish_wave():
                break
        if not run.stop.is_set:
            engine.end_round()
        if run.stop.is_set or rounds.is_shard:
            return
        if before_close is not None:
            await before_close()
            if run.stop.is_set:
                return
        rounds.close(current.round)
