"""Finished runs of a comparison on disk, so that a stopped comparison resumes."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from trainer.compare.arms import Arm
from trainer.compare.config import CompareConfig
from trainer.compare.held_out import SharedSplit
from trainer.compare.yardstick import Answers
from trainer.data.corpus import Corpus
from trainer.evaluate.outcomes import Tally


@dataclass(frozen=True, slots=True)
class Run:
    """What one arm scores with one seed.

    Args:
        answers: What it scores.
        num_steps: It trained.
        batch_size: Rows in a step.
    """

    answers: Answers
    num_steps: int
    batch_size: int


class FinishedRuns:
    """Runs by what decides them: model, settings, rows, held-out rows and seed.

    Args:
        directory: Has one small file per run; created with the first.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._hashed: list[tuple[Corpus, str]] = []

    def key(
        self,
        config: CompareConfig,
        arm: Arm,
        seed: int,
        split: SharedSplit,
        num_steps: int | None,
        model: str,
    ) -> str:
        """Name of a run's file; equal only where the run would be the same.

        Args:
            config: Of the comparison.
            arm: What the run trains on.
            seed: Of the run.
            split: What it is measured on.
            num_steps: It trains.
            model: Fingerprint of the encoder before its first step: a name does not say which
                weights lie behind it today.
        """
        decided = [
            model,
            arm.train_config(config.train, seed).model_dump_json(),
            config.evaluate.model_dump_json(),
            config.measure,
            num_steps if arm.corpus is not None else 0,
            arm.size,
            None if arm.corpus is None else self._hash(arm.corpus),
            self._hash(split.held_out),
        ]
        return hashlib.sha256(orjson.dumps(decided)).hexdigest()[:24]

    def get(self, key: str) -> Run | None:
        """A finished run; None if there is none or its file is damaged."""
        try:
            found = orjson.loads(self._path(key).read_bytes())
            answers = Answers(
                _read_tally(found["tally"]),
                _read_tally(found["expected"]),
                float(found["reciprocal_rank"]),
            )
            return Run(
                answers,
                int(found["num_steps"]),
                int(found["batch_size"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, run: Run) -> None:
        """Saves a finished run, whole or not at all.

        Raises:
            OSError: The directory cannot be written.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        content = {
            "tally": _plain(run.answers.tally),
            "expected": _plain(run.answers.expected),
            "reciprocal_rank": run.answers.reciprocal_rank,
            "num_steps": run.num_steps,
            "batch_size": run.batch_size,
        }
        part = self._path(key).with_suffix(f".{os.getpid()}.part")
        part.write_bytes(orjson.dumps(content))
        part.replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}.json"

    def _hash(self, corpus: Corpus) -> str:
        """Of a corpus' rows and image groups."""
        for hashed, value in self._hashed:
            if hashed is corpus:
                return value
        digest = hashlib.sha256()
        for row in corpus.rows:
            digest.update(repr(row).encode())
        for image, group in sorted(corpus.groups.items()):
            digest.update(f"{image} {group}\n".encode())
        self._hashed.append((corpus, digest.hexdigest()))
        return digest.hexdigest()


def _plain(tally: Tally) -> dict[str, Any]:
    """A tally as plain values."""
    return {
        "strata": tally.strata,
        "hits": tally.hits_GU.tolist(),
        "counts": tally.counts_GU.tolist(),
    }


def _read_tally(content: dict[str, Any]) -> Tally:
    """A tally from plain values.

    Raises:
        ValueError: Its shapes do not fit.
    """
    strata = tuple(map(str, content["strata"]))
    hits_GU = np.array(content["hits"], dtype=np.float64)
    counts_GU = np.array(content["counts"], dtype=np.float64)
    if hits_GU.ndim != 2 or hits_GU.shape != counts_GU.shape or len(hits_GU) != len(strata):
        raise ValueError("hits and counts must have the shape (strata, units).")
    return Tally(strata, hits_GU, counts_GU)
