"""Trains every arm with every seed and measures each alike."""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainer.compare.arms import Arm, Plan, plan_arms
from trainer.compare.config import CompareConfig
from trainer.compare.finished_runs import FinishedRuns, Run
from trainer.compare.held_out import SharedSplit, share_split
from trainer.compare.statistics import Difference, difference
from trainer.compare.yardstick import Yardstick
from trainer.config import ModelConfig
from trainer.data.corpus import load_corpus
from trainer.data.image_store import ImageStore
from trainer.encoders.encoder import Encoder
from trainer.evaluate.outcomes import Tally
from trainer.train import train

_LOG = logging.getLogger(__name__)

# S seeds, U units (held-out concepts)

#: Makes the encoder of a seed; the same seed gives the same weights.
MakeEncoder = Callable[[ModelConfig, int], Encoder]


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm over all seeds.

    Args:
        arm: What it trained on.
        runs: One per seed, in the order of the seeds.
    """

    arm: Arm
    runs: tuple[Run, ...]

    @property
    def mean_by_seed(self) -> list[float]:
        """Recall expected over all draws of candidates, of each seed."""
        return [run.answers.expected.mean for run in self.runs]

    @property
    def mean(self) -> float:
        return float(np.mean(self.mean_by_seed))

    @property
    def drawn_mean(self) -> float:
        """As `mean`, but of the one draw of candidates that `evaluate` measures too."""
        return float(np.mean([run.answers.tally.mean for run in self.runs]))

    @property
    def influence_SU(self) -> NDArray[np.float64]:
        """What each concept adds to `mean` with each seed; their average is that mean."""
        return np.stack([run.answers.expected.influence_U for run in self.runs])

    @property
    def tally(self) -> Tally:
        """Expected hits averaged over seeds."""
        tallies = [run.answers.expected for run in self.runs]
        hits_GU = np.mean([tally.hits_GU for tally in tallies], axis=0)
        return Tally(tallies[0].strata, hits_GU, tallies[0].counts_GU)


@dataclass(slots=True)
class Comparison:
    """All arms on one held-out set.

    Args:
        arms: By name, the untrained one first.
        differences: Of the plan's contrasts, in their order; of expected recall.
        yardstick: What was asked.
        encoder_note: One sentence on the model.
        versions: Labels, in the config's order.
        commits: Of the versions that were fetched.
        notes: What was left out or lowered.
        seconds: Of each part.
    """

    arms: dict[str, ArmResult]
    differences: dict[tuple[str, str], Difference]
    yardstick: Yardstick
    encoder_note: str
    versions: list[str]
    commits: list[str | None]
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def compare(
    config: CompareConfig, make: MakeEncoder, finished: FinishedRuns | None = None
) -> Comparison:
    """Trains and measures every arm with every seed.

    Arms differ in their rows alone: the same first weights, steps, batch size
    and candidates for a seed.

        config = CompareConfig(train=TrainConfig(dataset=a), versions=(a, b))
        comparison = compare(config, make_encoder)

    Args:
        config: What is compared.
        make: Makes the encoder of a seed, see `make_encoder`.
        finished: Runs that are not repeated; new ones are added to it.

    Raises:
        VersionError: There is no such version.
        CorpusError: A version has no training rows, or none held out.
        NoRowsError: An arm has no training row.
        NothingToMeasureError: No held-out row can be measured.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "load"):
        images = ImageStore()
        validation = [load_corpus(name, "validation", images=images) for name in config.versions]
        versions = [corpus.version for corpus in validation]
        train_corpora = [load_corpus(version, "train", images=images) for version in versions]
        split = share_split(train_corpora, validation, config.evaluate.num_candidates)
        plan = plan_arms(config, split.train)
    return run_plan(config, plan, split, make, finished, seconds)


def run_plan(
    config: CompareConfig,
    plan: Plan,
    split: SharedSplit,
    make: MakeEncoder,
    finished: FinishedRuns | None = None,
    seconds: dict[str, float] | None = None,
) -> Comparison:
    """Trains and measures the arms of a plan on a split that is shared already."""
    seconds = {} if seconds is None else seconds
    started = time.perf_counter()
    encoder: Encoder | None = make(config.train.model, config.seeds[0])
    fresh_seed: int | None = config.seeds[0]
    with _timed(seconds, "questions"):
        yardstick = Yardstick(config, split.held_out, encoder)
    encoder_note, model = encoder.note, encoder.fingerprint()
    _announce(config, plan, yardstick)
    runs: dict[str, list[Run]] = {arm.name: [] for arm in plan.arms}
    num_steps = config.train.num_steps
    # The untrained arm costs least; then the one with most rows decides the number of steps.
    for arm in sorted(plan.arms, key=lambda arm: (arm.corpus is not None, -arm.num_rows)):
        for seed in config.seeds:
            key, run = None, None
            if finished is not None:
                key = finished.key(config, arm, seed, split, num_steps, model)
                run = finished.get(key)
            if run is None:
                if encoder is None or (fresh_seed != seed and not encoder.restart(seed)):
                    encoder = None  # one at a time in memory
                    encoder = make(config.train.model, seed)
                run = _run(config, arm, seed, num_steps, encoder, yardstick, seconds)
                fresh_seed = None
                if finished is not None and key is not None:
                    finished.put(key, run)
            if arm.corpus is not None:
                num_steps = run.num_steps
            runs[arm.name].append(run)
            _LOG.info("arm=%s seed=%d recall=%.4f", arm.name, seed, run.answers.expected.mean)
    results = {arm.name: ArmResult(arm, tuple(runs[arm.name])) for arm in plan.arms}
    seconds["total"] = time.perf_counter() - started + seconds.get("load", 0.0)
    versions = [corpus.version for corpus in split.train]
    return Comparison(
        results,
        {
            (contrast.first, contrast.second): difference(
                results[contrast.first].influence_SU, results[contrast.second].influence_SU
            )
            for contrast in plan.contrasts
        },
        yardstick,
        encoder_note,
        [version.label for version in versions],
        [version.commit for version in versions],
        [*split.notes, *yardstick.notes, *_batch_notes(results.values())],
        seconds,
    )


def _run(
    config: CompareConfig,
    arm: Arm,
    seed: int,
    num_steps: int | None,
    encoder: Encoder,
    yardstick: Yardstick,
    seconds: dict[str, float],
) -> Run:
    """Trains an encoder on an arm's rows of a seed and measures it."""
    corpus = arm.corpus_for(seed)
    steps, batch_size = 0, 0
    if corpus is not None:
        train_config = arm.train_config(config.train, seed)
        if num_steps is not None:
            update = {"num_steps": num_steps, "num_epochs": None}
            train_config = train_config.model_copy(update=update)
        with _timed(seconds, "train"):
            result = train(train_config, corpus, encoder)
        steps, batch_size = result.num_steps, result.config.batch_size or 0
    with _timed(seconds, "evaluate"):
        answers = yardstick.measure(encoder)
    return Run(answers, steps, batch_size)


def _announce(config: CompareConfig, plan: Plan, yardstick: Yardstick) -> None:
    trained = [arm for arm in plan.arms if arm.corpus is not None]
    _LOG.info(
        "compare: %d trainings (%s; %d seeds each), then %d held-out queries over %d concepts each",
        len(trained) * len(config.seeds),
        ", ".join(f"{arm.name} {arm.num_rows:,} rows" for arm in trained),
        len(config.seeds),
        yardstick.num_queries,
        yardstick.num_concepts,
    )


def _batch_notes(results: Collection[ArmResult]) -> list[str]:
    """Notes on arms with too few rows, whose batches are smaller than those of the others."""
    sizes = {result.arm.name: max(run.batch_size for run in result.runs) for result in results}
    largest = max(sizes.values())
    return [
        f"{name}: batches of {size:,} rows instead of {largest:,}, as it has no more rows."
        for name, size in sizes.items()
        if 0 < size < largest
    ]


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - started
