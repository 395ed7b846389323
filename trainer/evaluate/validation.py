"""Suite "validation": a version's held-out rows, as text-to-image concepts and by cell."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.config import EvaluateConfig
from trainer.data.corpus import Corpus
from trainer.data.items import Item, ItemModality
from trainer.encoders.encoder import Encoder, Pictures
from trainer.evaluate.cells import CellSuite, make_cell_suite, measure_cells
from trainer.evaluate.concepts import measure_concepts
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.outcomes import Outcomes
from trainer.evaluate.questions import QuestionSet, make_questions
from trainer.evaluate.report import describe_suite
from trainer.evaluate.vectors import Vectors, embed_once


@dataclass(slots=True)
class ValidationResult:
    """What a model scores on a held-out split.

    Args:
        concepts: Of the text-to-image questions; None where there are none.
        cells: Of the rows, cell by cell; None where the model takes none.
        questions: What `concepts` was asked.
        suite: What `cells` was asked.
        notes: What was lowered or left out, as sentences.
    """

    concepts: Outcomes | None = None
    cells: Outcomes | None = None
    questions: QuestionSet | None = None
    suite: CellSuite | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Score:
    """One number for evaluation while training: higher is better.

    Args:
        items: What is embedded for it.
        pictures: Has their images.
        measure: The number, from their embeddings.
        vectors: Those of the newest call.
    """

    items: Sequence[Item]
    pictures: Pictures
    measure: Callable[[Vectors], float]
    vectors: Vectors | None = None

    def __call__(self, encoder: Encoder) -> float:
        self.vectors = embed_once(encoder, self.items, self.pictures)
        return self.measure(self.vectors)


def evaluate_validation(
    encoder: Encoder,
    corpus: Corpus,
    config: EvaluateConfig,
    *,
    max_chunk_tokens: int | None = None,
    known: Vectors | None = None,
) -> dict[str, Any]:
    """Measures an encoder on the held-out rows of a version; returns a report for JSON.

        corpus = load_corpus("demo/pictograms@0.2.0", "validation")
        report = evaluate_validation(load_encoder(Path("model")), corpus, EvaluateConfig())
        write_report(report, Path("evaluation"))

    Args:
        encoder: Any that takes some of the rows.
        corpus: Split "validation".
        config: Depth of recall and the like.
        max_chunk_tokens: See `embed`.
        known: Embeddings by the same weights, which are not computed again.

    Raises:
        NothingToMeasureError: Neither the concepts nor any cell can be measured.
    """
    result = measure_validation(
        encoder, corpus, config, max_chunk_tokens=max_chunk_tokens, known=known
    )
    return describe_validation(result, corpus, config)


def measure_validation(
    encoder: Encoder,
    corpus: Corpus,
    config: EvaluateConfig,
    *,
    max_chunk_tokens: int | None = None,
    known: Vectors | None = None,
) -> ValidationResult:
    """Both measures of the suite; every item is embedded once.

    Raises:
        NothingToMeasureError: Neither the concepts nor any cell can be measured.
    """
    result = ValidationResult()
    items: list[Item] = []
    if {"T", "I"} <= set(encoder.takes):
        try:
            result.questions = make_questions(corpus, config.num_candidates, config.candidate_seed)
            items += [*result.questions.queries, *result.questions.candidates]
        except NothingToMeasureError as exc:
            result.notes.append(f"{exc.what}.")
    result.suite = make_cell_suite(corpus, encoder.takes)
    items += result.suite.items
    if result.questions is None and not result.suite.queries:
        raise NothingToMeasureError(
            corpus.version.label,
            f'split "{corpus.split}" has no row that this model takes '
            f"({_counts(result.suite.left_out) or 'no rows at all'})",
            "Use a model with fused input, or build rows of other cells.",
        )
    vectors = embed_once(
        encoder, items, corpus.images, max_chunk_tokens=max_chunk_tokens, known=known
    )
    if result.questions is not None:
        result.concepts, notes = measure_concepts(result.questions, vectors, config.k)
        result.notes += notes
    result.cells, notes = measure_cells(result.suite, vectors, config.k)
    result.notes += notes
    if result.concepts is None and result.cells is None:
        raise NothingToMeasureError.too_few_groups(
            corpus.version.label, f'split "{corpus.split}" has too few documents to choose among'
        )
    return result


def make_score(corpus: Corpus, config: EvaluateConfig, takes: Collection[ItemModality]) -> Score:
    """What is measured while training.

    The mean over languages of text-to-image recall@k; without text-image rows,
    or for a model that takes only one of them, the mean over cells.

    Raises:
        NothingToMeasureError: The split has nothing that the model takes.
    """
    if {"T", "I"} <= set(takes):
        try:
            questions = make_questions(corpus, config.num_candidates, config.candidate_seed)
        except NothingToMeasureError:
            pass
        else:

            def concept_score(vectors: Vectors) -> float:
                return measure_concepts(questions, vectors, config.k)[0].tally("language").mean

            items = [*questions.queries, *questions.candidates]
            return Score(items, corpus.images, concept_score)
    suite = make_cell_suite(corpus, takes)
    if not suite.queries:
        raise NothingToMeasureError(
            corpus.version.label,
            f'split "{corpus.split}" has no row that this model takes '
            f"({_counts(suite.left_out) or 'no rows at all'})",
            "Use a model with fused input, or train without evaluation.",
        )

    def cell_score(vectors: Vectors) -> float:
        outcomes, _ = measure_cells(suite, vectors, config.k)
        return 0.0 if outcomes is None else outcomes.tally("cell").mean

    return Score(suite.items, corpus.images, cell_score)


def describe_validation(
    result: ValidationResult, corpus: Corpus, config: EvaluateConfig
) -> dict[str, Any]:
    """A result as plain values, for JSON."""
    notes = list(result.notes)
    sections: dict[str, Any] = {}
    if result.concepts is not None and result.questions is not None:
        num_candidates = len(result.questions.candidate_groups)
        sections["concepts"] = describe_suite(
            result.concepts,
            f"Text-to-image, {num_candidates} held-out concepts",
            kinds=("language",),
            mean_kind="language",
            num_units=num_candidates,
            num_resamples=config.num_resamples,
        ) | {
            "num_candidates": num_candidates,
            "groups": "provenance" if result.questions.has_groups else "images",
        }
    if result.cells is not None and result.suite is not None:
        pools = {modality: len(pool) for modality, pool in result.suite.documents.items()}
        sections["cells"] = describe_suite(
            result.cells,
            "Every row's query over all held-out documents of the kind it looks for",
            kinds=("cell", "task", "language"),
            mean_kind="cell",
            crossed=("cell", "language"),
            num_resamples=config.num_resamples,
        ) | {"num_candidates": pools}
    if result.suite is not None and result.suite.left_out:
        left_out = result.suite.left_out
        notes.append(
            f"{left_out.total():,} of {len(corpus.rows):,} rows are not measured, as this model "
            f"does not take their query or document ({_counts(left_out)})."
        )
    return {
        "suite": "validation",
        "data": corpus.version.label,
        "commit": corpus.version.commit,
        "split": corpus.split,
        "num_rows": len(corpus.rows),
        "left_out": dict(result.suite.left_out) if result.suite is not None else {},
        "notes": notes,
        "sections": sections,
    }


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{cell} {count:,}" for cell, count in sorted(counts.items()))
