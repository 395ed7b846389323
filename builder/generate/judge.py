"""Asks an independent judge about samples that were kept before it was there."""

from collections.abc import Awaitable, Callable, Iterator

from builder.generate.engine import Engine
from builder.generate.kept_job import job_of_kept
from builder.generate.run_context import RunContext
from builder.job import Job
from builder.ledger.ledger import JUDGED_BY, Ledger
from schemas.sample import Provenance

_ROWS_AT_ONCE = 500
_BEFORE_ALL = (-(2**31), -1)


async def judge_kept(
    run: RunContext,
    engine: Engine,
    model: str,
    finish_wave: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Asks the judge about every kept sample that it has not judged; does nothing the next time.

    A sample comes out as if the judge had been there from the start. One whose
    judgement cannot be read stays without.

    Args:
        run: The run it is part of; its ledger holds the samples.
        engine: Asks; its judge is `model`.
        model: The judge.
        finish_wave: In batch mode, sends what was collected and waits for it; returns
            whether another wave is needed.
    """
    if run.ledger.meta(JUDGED_BY) == model:
        return
    run.say(f"{model} is asked about the samples that were kept before it was the judge.")
    if finish_wave is not None:
        await finish_wave()  # what an earlier run sent
    while not run.stop.is_set:
        await engine.judge(_unjudged(run.ledger, model))
        await run.writer.flush()
        if finish_wave is None or not await finish_wave():
            break
    if not run.stop.is_set:
        run.ledger.set_meta(JUDGED_BY, model)


def _unjudged(ledger: Ledger, model: str) -> Iterator[tuple[Job, Provenance]]:
    place = _BEFORE_ALL
    while rows := ledger.kept_after(place, _ROWS_AT_ONCE):
        for row in rows:
            place = row.round, row.index
            provenance = Provenance.model_validate_json(row.provenance)
            if provenance.judge_model != model:
                yield job_of_kept(row.job_id, row.index, provenance), provenance
