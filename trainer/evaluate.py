"""Text-to-image recall@k per language on held-out concepts, with bootstrap intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.config import EvaluateConfig
from trainer.encoders.dual import DualEncoder
from trainer.item_features import ItemFeatures
from trainer.questions import QuestionSet
from trainer.ranking import mean_reciprocal_rank, ranks

# Q questions, N candidates, D embedding, L languages, S resamples


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one model scores on one question set.

    Args:
        languages: In alphabetical order; L below.
        hits_LN: Questions answered within k, by language and by the candidate
            they ask for.
        num_questions_LN: Questions, likewise.
        reciprocal_rank: Mean of 1 / rank over languages.
        k: Depth of recall.
    """

    languages: tuple[str, ...]
    hits_LN: NDArray[np.float64]
    num_questions_LN: NDArray[np.float64]
    reciprocal_rank: float
    k: int

    @property
    def recall_by_language(self) -> dict[str, float]:
        recall_L = self.hits_LN.sum(axis=1) / self.num_questions_LN.sum(axis=1)
        return dict(zip(self.languages, recall_L.tolist(), strict=True))

    @property
    def mean_recall(self) -> float:
        """Mean over languages, each with equal weight."""
        return float(np.mean([*self.recall_by_language.values()]))


def measure(
    model: DualEncoder, features: ItemFeatures, questions: QuestionSet, k: int
) -> Measurement:
    """Asks every question; a candidate is right when its group is."""
    image_rows = [features.image_index[image] for image in questions.candidate_images]
    text_rows = [features.text_index[question.text] for question in questions.questions]
    with torch.inference_mode():
        candidate_ND = model.image(features.image_IF[image_rows])
        query_QD = model.text(features.text_TF[text_rows])
        scores_QN = (query_QD @ candidate_ND.T).numpy()
    correct_QN = questions.correct_QN
    ranks_Q = ranks(scores_QN, correct_QN)
    languages = questions.languages
    language_Q = np.array([languages.index(q.language) for q in questions.questions])
    asked_Q = correct_QN.argmax(axis=1)
    shape = (len(languages), len(questions.candidate_groups))
    hits_LN, num_questions_LN = np.zeros(shape), np.zeros(shape)
    np.add.at(hits_LN, (language_Q, asked_Q), ranks_Q <= k)
    np.add.at(num_questions_LN, (language_Q, asked_Q), 1)
    by_language = [
        mean_reciprocal_rank(ranks_Q[language_Q == index]) for index in range(len(languages))
    ]
    return Measurement(tuple(languages), hits_LN, num_questions_LN, float(np.mean(by_language)), k)


def bootstrap_means(
    hits_LN: NDArray[np.float64],
    num_questions_LN: NDArray[np.float64],
    num_resamples: int,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Mean recall over languages in each resample of the concepts, shape (S,).

    Concepts are resampled, not questions: questions for one concept in many
    languages stand or fall together. Equal seeds resample equally, so that
    differences between models can be taken resample by resample.
    """
    num_candidates = hits_LN.shape[1]
    generator = np.random.default_rng(seed)
    weights_SN = generator.multinomial(
        num_candidates, np.full(num_candidates, 1 / num_candidates), size=num_resamples
    )
    hits_SL = weights_SN @ hits_LN.T
    questions_SL = weights_SN @ num_questions_LN.T
    recall_SL = np.divide(
        hits_SL, questions_SL, out=np.full_like(hits_SL, np.nan), where=questions_SL > 0
    )
    return np.nanmean(recall_SL, axis=1)


def interval(values_S: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.percentile(values_S, [2.5, 97.5])
    return float(low), float(high)


def describe(
    measurement: Measurement, questions: QuestionSet, config: EvaluateConfig
) -> dict[str, Any]:
    """A measurement as plain values, for JSON."""
    resampled_S = bootstrap_means(
        measurement.hits_LN, measurement.num_questions_LN, config.num_resamples
    )
    num_candidates = len(questions.candidate_groups)
    num_questions_L = measurement.num_questions_LN.sum(axis=1).astype(int).tolist()
    return {
        "k": measurement.k,
        "num_candidates": num_candidates,
        "num_questions": len(questions.questions),
        "chance": min(1.0, measurement.k / num_candidates),
        "groups": "provenance" if questions.has_groups else "images",
        "mean": measurement.mean_recall,
        "interval": interval(resampled_S),
        "mean_reciprocal_rank": measurement.reciprocal_rank,
        "per_language": measurement.recall_by_language,
        "num_questions_per_language": dict(
            zip(measurement.languages, num_questions_L, strict=True)
        ),
    }
