"""Judging what was kept before there was a judge, or under another one."""

from collections.abc import Awaitable, Callable, Iterator

from builder.generate.engine import Engine
from builder.generate.ledger import JUDGED_BY, Ledger
from builder.generate.writer import LedgerWriter
from builder.plan.job import Job
from schemas.sample import Provenance
from schemas.vocabulary import Cell

_ROWS_AT_ONCE = 500
_BEFORE_ALL = (-(2**31), -1)


async def judge_kept(
    ledger: Ledger,
    engine: Engine,
    writer: LedgerWriter,
    model: str,
    say: Callable[[str], None],
    settle: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Asks the judge about every kept sample that it has not judged; does nothing the next time.

    A sample comes out as if the judge had been there from the start. One whose
    judgement cannot be read stays without.

    Args:
        ledger: Holds the samples.
        engine: Asks; its judge is `model`.
        writer: Where judgements go.
        model: The judge.
        say: Tells people what happens.
        settle: In batch mode, sends what was collected and waits for it; returns
            whether another wave is needed.
    """
    if ledger.meta(JUDGED_BY) == model:
        return
    say(f"{model} is asked about the samples that were kept before it was the judge.")
    if settle is not None:
        await settle()
    while not engine.stopping:
        await engine.judge(_unjudged(ledger, model))
        await writer.flush()
        if settle is None or not await settle():
            break
    if not engine.stopping:
        ledger.set_meta(JUDGED_BY, model)


def _unjudged(ledger: Ledger, model: str) -> Iterator[tuple[Job, Provenance]]:
    place = _BEFORE_ALL
    while rows := ledger.kept_after(place, _ROWS_AT_ONCE):
        for row in rows:
            place = row.round, row.index
            provenance = Provenance.model_validate_json(row.provenance)
            if provenance.judge_model != model:
                yield _job(row.job_id, row.index, provenance), provenance


def _job(job_id: str, index: int, provenance: Provenance) -> Job:
    """The job a sample came from."""
    return Job(
        id=job_id,
        round=provenance.round,
        index=index,
        cell=Cell(provenance.task_type, provenance.modality),
        language=provenance.language,
        seed=provenance.seed,
        images=tuple(image.sha256 for image in provenance.images),
        length=provenance.length,
        difficulty=provenance.difficulty,
        text_register=provenance.text_register,
        task_idea=provenance.task_idea,
    )
