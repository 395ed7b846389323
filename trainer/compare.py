"""The comparison: untrained, English rows only and all languages, over several seeds."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from trainer.config import CompareConfig
from trainer.corpus import Corpus
from trainer.encoders.tower import Towers
from trainer.evaluate import Measurement, bootstrap_means, interval, measure
from trainer.feature_cache import FeatureCache
from trainer.item_features import compute_item_features
from trainer.pairs import images_of, texts_of
from trainer.questions import QuestionSet, make_questions
from trainer.train import select_pairs, train

_LOG = logging.getLogger(__name__)

ARMS = ("untrained", "english_only", "multilingual")

#: 97.5 % quantile of Student's t by degrees of freedom; beyond the table, the normal one.
_STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm over all seeds.

    Args:
        name: One of `ARMS`.
        num_pairs: Training pairs it saw.
        measurements: One a seed, in the order of the seeds.
    """

    name: str
    num_pairs: int
    measurements: tuple[Measurement, ...]

    @property
    def mean_by_seed(self) -> list[float]:
        return [measurement.mean_recall for measurement in self.measurements]

    @property
    def mean(self) -> float:
        return float(np.mean(self.mean_by_seed))

    @property
    def seed_interval(self) -> tuple[float, float]:
        """95 % interval of the mean over seeds (Student's t); a point for a single seed."""
        return student_interval(self.mean_by_seed)

    def concept_interval(self, num_resamples: int) -> tuple[float, float]:
        """95 % bootstrap interval over the held-out concepts, seeds averaged."""
        return interval(self.bootstrap(num_resamples))

    def bootstrap(self, num_resamples: int) -> np.ndarray:
        """Mean recall in each resample of the concepts, seeds averaged."""
        hits_LN = np.mean([each.hits_LN for each in self.measurements], axis=0)
        return bootstrap_means(hits_LN, self.measurements[0].num_questions_LN, num_resamples)

    @property
    def recall_by_language(self) -> dict[str, float]:
        """Mean over seeds."""
        by_seed = [measurement.recall_by_language for measurement in self.measurements]
        return {
            language: float(np.mean([recall[language] for recall in by_seed]))
            for language in self.measurements[0].languages
        }


@dataclass(slots=True)
class Comparison:
    """All arms on one question set, and the seconds each part took."""

    arms: dict[str, ArmResult]
    questions: QuestionSet
    towers: Towers
    num_texts: int
    num_images: int
    seconds: dict[str, float] = field(default_factory=dict)


def student_interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few values; a point for a single one."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, mean
    freedom = len(values) - 1
    quantile = _STUDENT_T[freedom - 1] if freedom <= len(_STUDENT_T) else 1.96
    half = quantile * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean - half, mean + half


def compare(
    config: CompareConfig,
    train_corpus: Corpus,
    held_out: Corpus,
    towers: Towers,
    cache: FeatureCache | None,
) -> Comparison:
    """Trains every arm with every seed and asks each the same questions.

    Arms differ in their rows alone: same steps, batch size and candidates.

    Raises:
        NoRowsError: An arm has no training row, or nothing is held out.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "questions"):
        english = config.train.model_copy(update={"languages": (config.baseline_language,)})
        pairs = {
            "untrained": (pairs_all := select_pairs(config.train, train_corpus)),
            "english_only": select_pairs(english, train_corpus),
            "multilingual": pairs_all,
        }
        questions = make_questions(
            held_out, config.evaluate.num_candidates, config.evaluate.candidate_seed
        )
    every_pair = [*pairs["multilingual"], *pairs["english_only"]]
    asked = [question.text for question in questions.questions]
    texts = list(dict.fromkeys([*texts_of(every_pair), *asked]))
    images = {sha256: train_corpus.images[sha256] for sha256 in images_of(every_pair)}
    images |= {sha256: held_out.images[sha256] for sha256 in questions.candidate_images}
    with _timed(seconds, "features"):
        features = compute_item_features(towers, texts, images, cache)
    _LOG.info("features: %d texts, %d images (%s)", len(texts), len(images), towers.kind)
    arms: dict[str, ArmResult] = {}
    for name in ARMS:
        measurements: list[Measurement] = []
        for seed in config.seeds:
            update: dict[str, object] = {"seed": seed}
            if name == "untrained":
                update["num_steps"] = 0
            arm_config = (english if name == "english_only" else config.train).model_copy(
                update=update
            )
            with _timed(seconds, "train"):
                model = train(arm_config, train_corpus, pairs[name], features)
            with _timed(seconds, "evaluate"):
                measurements.append(measure(model, features, questions, config.evaluate.k))
            _LOG.info(
                "arm=%s seed=%d recall_at_%d=%.4f",
                name,
                seed,
                config.evaluate.k,
                measurements[-1].mean_recall,
            )
        num_pairs = 0 if name == "untrained" else len(pairs[name])
        arms[name] = ArmResult(name, num_pairs, tuple(measurements))
    return Comparison(arms, questions, towers, len(texts), len(images), seconds)


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - started
