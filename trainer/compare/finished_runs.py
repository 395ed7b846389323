"""Finished runs of a comparison on disk: one that was stopped goes on where it stood."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from trainer.compare.arms import Arm
from trainer.compare.config import CompareConfig
from trainer.compare.held_out import SharedSplit
from trainer.data.corpus import Corpus
from trainer.evaluate.outcomes import Tally


@dataclass(frozen=True, slots=True)
class Run:
    """What one arm scores with one seed.

    Args:
        tally: Hits by language (or cell) and concept.
        reciprocal_rank: Mean over the same strata.
        num_steps: It trained.
        batch_size: Rows in a step.
    """

    tally: Tally
    reciprocal_rank: float
    num_steps: int
    batch_size: int


class FinishedRuns:
    """Runs by what decides them: settings, rows, held-out rows and seed.

    Args:
        directory: Holds one small file a run; made when the first is added.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._hashed: list[tuple[Corpus, str]] = []

    def key(
        self, config: CompareConfig, arm: Arm, seed: int, split: SharedSplit, num_steps: int | None
    ) -> str:
        """Name of a run's file; equal only where the run would be the same."""
        decided = [
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
        """A finished run; None where there is none, or its file is damaged."""
        try:
            found = orjson.loads(self._path(key).read_bytes())
            shape = (len(found["strata"]), found["num_units"])
            tally = Tally(
                tuple(map(str, found["strata"])),
                np.array(found["hits"], dtype=np.float64).reshape(shape),
                np.array(found["counts"], dtype=np.float64).reshape(shape),
            )
            return Run(
                tally,
                float(found["reciprocal_rank"]),
                int(found["num_steps"]),
                int(found["batch_size"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, run: Run) -> None:
        """Keeps a finished run, whole or not at all.

        Raises:
            OSError: The directory cannot be written.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        content = {
            "strata": run.tally.strata,
            "num_units": run.tally.hits_GU.shape[1],
            "hits": run.tally.hits_GU.ravel().astype(int).tolist(),
            "counts": run.tally.counts_GU.ravel().astype(int).tolist(),
            "reciprocal_rank": run.reciprocal_rank,
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
