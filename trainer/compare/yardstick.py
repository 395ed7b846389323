"""The measure of every arm: text-to-image concepts, or the held-out rows' own queries."""

from dataclasses import dataclass

import numpy as np

from trainer.compare.config import CompareConfig
from trainer.data.corpus import Corpus
from trainer.encoders.encoder import Encoder
from trainer.evaluate.candidate_draws import draw_concepts, expect_recall
from trainer.evaluate.cells import make_cell_suite, measure_cells
from trainer.evaluate.concepts import measure_concepts
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.outcomes import Outcomes, Tally, metrics
from trainer.evaluate.questions import make_questions
from trainer.evaluate.vectors import Vectors, embed_once


@dataclass(frozen=True, slots=True)
class Answers:
    """What one encoder scores.

    Args:
        tally: Hits by language (or cell) and concept.
        expected: Hits expected over all draws of candidates, which vary less; the same as
            `tally` where cells are measured.
        reciprocal_rank: Mean over the languages (or cells).
    """

    tally: Tally
    expected: Tally
    reciprocal_rank: float


class Yardstick:
    """One set of queries and candidates for all arms and seeds.

    Args:
        config: Says which measure.
        held_out: Rows that no arm trains on.
        encoder: Any of the model that is compared: which items it takes.

    Raises:
        NothingToMeasureError: No held-out row can be measured with it.
    """

    def __init__(self, config: CompareConfig, held_out: Corpus, encoder: Encoder) -> None:
        self._pictures = held_out.images
        self._k = config.evaluate.k
        if config.measure == "concepts":
            self.stratum = "language"
            self._questions = make_questions(
                held_out, config.evaluate.num_candidates, config.evaluate.candidate_seed
            )
            self._drawn = draw_concepts(
                held_out, config.evaluate.num_candidates, config.evaluate.candidate_seed
            )
            self._suite = None
            self._items = [
                *self._questions.queries,
                *self._questions.candidates,
                *self._drawn.items,
            ]
            self.num_candidates: int | dict[str, int] = len(self._questions.candidate_groups)
            self.has_groups = self._questions.has_groups
        else:
            self.stratum = "cell"
            self._questions = None
            self._drawn = None
            self._suite = make_cell_suite(held_out, encoder.takes)
            self._items = self._suite.items
            self.num_candidates = {
                modality: len(pool) for modality, pool in self._suite.documents.items()
            }
            self.has_groups = bool(held_out.groups)
        if not self._items:
            raise _nothing(held_out)
        self._held_out = held_out
        outcomes, self.notes = self._ask(self._blank())
        figures = metrics(outcomes)
        self.k: int | list[int] = figures["k"]
        self.chance: float = figures["chance"]
        self.num_queries = len(outcomes)
        self._num_units = int(outcomes.unit_Q.max()) + 1
        self.num_concepts = self._num_units if self._drawn is None else len(self._drawn.groups)
        label_Q, count_Q = np.unique(outcomes.labels[self.stratum], return_counts=True)
        self.num_queries_by_stratum = dict(zip(map(str, label_Q), map(int, count_Q), strict=True))

    def measure(self, encoder: Encoder) -> Answers:
        """What an encoder scores."""
        vectors = embed_once(encoder, self._items, self._pictures)
        outcomes, _ = self._ask(vectors)
        parts = outcomes.groups(self.stratum).values()
        reciprocal_rank = float(np.mean([metrics(part)["mrr"] for part in parts]))
        tally = outcomes.tally(self.stratum, self._num_units)
        if self._drawn is None:
            return Answers(tally, tally, reciprocal_rank)
        assert isinstance(self.k, int)
        return Answers(tally, expect_recall(self._drawn, vectors, self.k), reciprocal_rank)

    def _ask(self, vectors: Vectors) -> tuple[Outcomes, list[str]]:
        if self._questions is not None:
            return measure_concepts(self._questions, vectors, self._k)
        assert self._suite is not None
        outcomes, notes = measure_cells(self._suite, vectors, self._k)
        if outcomes is None:
            raise _nothing(self._held_out)
        return outcomes, notes

    def _blank(self) -> Vectors:
        """Equal embeddings: counts and chance do not depend on the model."""
        distinct = [*dict.fromkeys(self._items)]
        values_ND = np.zeros((len(distinct), 1), dtype=np.float32)
        return Vectors(values_ND, {item: row for row, item in enumerate(distinct)})


def _nothing(held_out: Corpus) -> NothingToMeasureError:
    return NothingToMeasureError(
        held_out.version.label,
        "no held-out row can be measured with this model",
        "Use a model with fused input, or versions with other cells.",
    )
