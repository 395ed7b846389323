"""Text-to-image retrieval among held-out concepts, one image each: the demo's measure."""

import numpy as np

from trainer.evaluate.outcomes import Outcomes
from trainer.evaluate.questions import QuestionSet
from trainer.evaluate.ranking import choose_k, lowered_notes, rank_corpus
from trainer.evaluate.vectors import Vectors


def measure_concepts(
    questions: QuestionSet, vectors: Vectors, k: int
) -> tuple[Outcomes, list[str]]:
    """Asks every question; a candidate is right when its group is.

    The unit of resampling is the concept asked for: the first right candidate.
    """
    num_candidates = len(questions.candidate_groups)
    lowered = choose_k(k, num_candidates)
    assert lowered is not None, "make_questions gives two candidates or more"
    right = questions.right
    ranking = rank_corpus(vectors.of(questions.queries), vectors.of(questions.candidates), right)
    outcomes = Outcomes(
        ranking,
        np.full(len(ranking), lowered, dtype=np.int64),
        np.array([columns[0] for columns in right], dtype=np.int64),
        {"language": np.array([question.language for question in questions.questions])},
    )
    return outcomes, lowered_notes("concepts", k, lowered, num_candidates)
