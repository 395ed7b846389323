"""How far an independent judge agrees with the teacher's own scores, language by language.

The teacher scores its draft and then revises it, in one pass as in the paper;
the judge scores the revision, which is what is kept. Only where the revision
changed nothing are both scores of the same texts, so only those say how far
the two agree; over all samples the revision's own effect is among what is
measured.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson
from rich.console import Console
from rich.table import Table

from builder.generate.engine import Engine
from builder.generate.run_context import RunContext
from builder.job import Job
from builder.ledger.ledger import JUDGED_BY, Ledger
from schemas.sample import SCORES as CRITERIA
from schemas.sample import Provenance
from schemas.vocabulary import Cell

_SCORES = 5
_LANGUAGES_SHOWN = 12


@dataclass(slots=True)
class Agreement:
    """Pairs of scores given to the same samples, as a table: teacher's row, judge's column."""

    pairs: list[list[int]] = field(default_factory=lambda: [[0] * _SCORES for _ in range(_SCORES)])

    def add(self, teacher: int, judge: int) -> None:
        self.pairs[teacher - 1][judge - 1] += 1

    @property
    def num(self) -> int:
        return sum(map(sum, self.pairs))

    @property
    def exact(self) -> float:
        """Share of equal scores."""
        return self._share(0)

    @property
    def within_one(self) -> float:
        """Share of scores at most one apart."""
        return self._share(1)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa with quadratic weights; None where either gave one score only.

        Source: Cohen 1968, doi:10.1037/h0026256.
        """
        num = self.num
        rows = [sum(row) for row in self.pairs]
        columns = [sum(column) for column in zip(*self.pairs, strict=True)]
        observed = expected = 0.0
        for i in range(_SCORES):
            for j in range(_SCORES):
                weight = (i - j) ** 2
                observed += weight * self.pairs[i][j]
                expected += weight * rows[i] * columns[j] / max(1, num)
        if max(rows, default=0) == num or max(columns, default=0) == num:
            return None
        return 1.0 - observed / expected

    def _share(self, distance: int) -> float:
        near = sum(
            count
            for i, row in enumerate(self.pairs)
            for j, count in enumerate(row)
            if abs(i - j) <= distance
        )
        return near / max(1, self.num)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The teacher's scores of drafts against the judge's of revisions.

    Args:
        every: All samples that were judged.
        same_texts: Those whose revision is the draft.
    """

    every: Agreement = field(default_factory=Agreement)
    same_texts: Agreement = field(default_factory=Agreement)


def compare_scores(provenances: Iterable[bytes]) -> dict[str, Comparison]:
    """Comparison by language, and over all under "all"; empty where nothing was judged.

    Args:
        provenances: JSON of `Provenance`.
    """
    found: dict[str, Comparison] = {}
    for text in provenances:
        provenance = orjson.loads(text)
        judge = provenance.get("judge")
        if judge is None:
            continue
        is_same = provenance["draft"] == provenance["revision"]
        for name in ("all", provenance["language"]):
            comparison = found.setdefault(name, Comparison())
            for criterion in CRITERIA:
                scores = provenance["evaluation"][criterion]["score"], judge[criterion]["score"]
                comparison.every.add(*scores)
                if is_same:
                    comparison.same_texts.add(*scores)
    return found


def print_agreement(ledger: Ledger, console: Console) -> None:
    """Prints the comparison by language, the lowest first, and says what is compared."""
    found = compare_scores(provenance for _, provenance in ledger.kept())
    if not found:
        return
    table = Table(title="Judge's scores against the teacher's", title_justify="left")
    table.add_column("language")
    for name in ("every sample", "within 1", "kappa", "same texts", "within 1", "kappa"):
        table.add_column(name, justify="right")
    languages = sorted(
        found.items(), key=lambda entry: (entry[0] != "all", entry[1].every.within_one)
    )
    for name, comparison in languages[: _LANGUAGES_SHOWN + 1]:
        table.add_row(name, *_figures(comparison.every), *_figures(comparison.same_texts))
    console.print(table)
    console.print(
        "Scores of all four criteria, kappa with quadratic weights. The teacher scored its draft "
        "before it revised it, the judge scored the revision: over every sample, agreement and "
        "what the revision improved are mixed. Same texts: the revision changed nothing, so both "
        "scored the same; there the figures are agreement.",
        highlight=False,
    )


def _figures(agreement: Agreement) -> tuple[str, str, str]:
    kappa = agreement.kappa
    return (
        str(agreement.num),
        f"{agreement.within_one:.1%}" if agreement.num else "-",
        "-" if kappa is None else f"{kappa:.2f}",
    )


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
