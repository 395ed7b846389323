"""Has the judge choose among each kept sample's positive and hard negatives, in shuffled order."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

from builder.generate.kept_job import job_of_kept
from builder.generate.run_context import RunContext
from builder.job import Job
from builder.ledger.choices import (
    ACCEPTS_NEGATIVE,
    PREFERS_NEGATIVE,
    MadeChoice,
    shuffled_order,
)
from builder.ledger.ledger import Ledger
from builder.ledger.transaction import ledger_error
from builder.prompts import Prompt, Templates
from builder.prompts.choices import choice_images, render_choice
from schemas.choice import Choice
from schemas.sample import Provenance, Sample

_ROWS_AT_ONCE = 500
#: Asks a judge about questions, as `Engine.choose`.
Choose = Callable[[Iterator["Question"]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Question:
    """One choice to be made.

    Args:
        sample: Whose candidates are shown.
        order: In which order: 0 is the positive, hard negatives follow.
        job: The sample's job with the images in that order.
        prompt: What is asked.
    """

    sample: Sample
    order: tuple[int, ...]
    job: Job
    prompt: Prompt

    def made(self, choice: Choice, model: str) -> MadeChoice:
        """The choice as the ledger holds it, by candidate instead of by number.

        Args:
            choice: With numbers of candidates there are.
            model: The judge.
        """
        also = {self.order[number - 1] for number in choice.also_right if number != choice.best}
        return MadeChoice(
            *(self.sample.id, model, self.sample.language, self.order),
            best=self.order[choice.best - 1],
            also_right=tuple(sorted(also)),
        )


def open_questions(ledger: Ledger, templates: Templates, model: str) -> Iterator[Question]:
    """A question for every sample about which this judge made no choice yet, in job order.

    They are the kept ones, and those that another judge's choice dropped.
    """
    place = (-(2**31), -1)
    while rows := _rows_after(ledger, place, model):
        for job_id, round_, index, sample_json, provenance_json in rows:
            place = round_, index
            sample = Sample.model_validate_json(sample_json)
            provenance = Provenance.model_validate_json(provenance_json)
            order = shuffled_order(sample.id, 1 + len(sample.negative_texts))
            job = replace(
                job_of_kept(job_id, index, provenance), images=choice_images(sample, order)
            )
            yield Question(sample, order, job, render_choice(templates, sample, order))


def _rows_after(ledger: Ledger, place: tuple[int, int], model: str) -> list[tuple]:
    try:
        return ledger.db.execute(
            "SELECT job_id, round, idx, sample, provenance FROM outcome "
            "WHERE (round, idx) > (?, ?) AND (reason IS NULL OR reason IN (?, ?)) "
            "AND sample IS NOT NULL "
            "AND provenance IS NOT NULL AND NOT EXISTS (SELECT 1 FROM choice "
            "WHERE choice.sample_id = outcome.sample_id AND choice.model = ?) "
            "ORDER BY round, idx LIMIT ?",
            (*place, PREFERS_NEGATIVE, ACCEPTS_NEGATIVE, model, _ROWS_AT_ONCE),
        ).fetchall()
    except sqlite3.Error as exc:
        raise ledger_error(ledger.path, exc) from exc


async def choose_kept(
    run: RunContext,
    choose: Choose,
    templates: Templates,
    model: str,
    finish_wave: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Has the judge choose about every kept sample that it has not seen so; a reply is paid once.

    A sample whose reply cannot be read stays without a choice.

    Args:
        run: The run it is part of; its ledger holds the samples.
        choose: Asks the judge, which is `model`.
        templates: Of the build.
        model: The judge.
        finish_wave: In batch mode, sends what was collected and waits for it; returns
            whether another wave is needed.
    """
    while not run.stop.is_set:
        await choose(open_questions(run.ledger, templates, model))
        await run.writer.flush()
        if finish_wave is None or not await finish_wave():
            return
