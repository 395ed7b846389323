"""Text-to-image retrieval among held-out concepts, one image each: the demo's measure."""

import numpy as np

from trainer.evaluate.outcomes import Outcomes
from trainer.evaluate.questions import QuestionSet
from trainer.evaluate.ranking import lower_k, lowered_notes, rank_corpus
from trainer.evaluate.vectors import Vectors


def measure_concepts(
    questions: QuestionSet, vectors: Vectors, k: int
) -> tuple[Outcomes, list[str]]:
    """Asks every question; a candidate is right when its group is.

    The unit of resampling is the concept asked for: the first right candidate.
    """
    right = questions.right
    ranking = rank_corpus(vectors.of(questions.queries), vectors.of(questions.candidates), right)
    lowered = lower_k(ranking, k)
    outcomes = Outcomes(
        ranking,
        np.full(len(ranking), lowered, dtype=np.int64),
        np.array([columns[0] for columns in right], dtype=np.int64),
        {"language": np.array([question.language for question in questions.questions])},
    )
    return outcomes, lowered_notes("concepts", k, lowered, ranking)
