"""A round's jobs as columns: some 40 bytes per job until one is requested."""

# J jobs

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from builder.job import Job
from builder.plan.mixing import below, key_of, mix
from builder.plan.variations import Variations, load_variations
from schemas.vocabulary import Cell, Slot

#: This many neighbouring jobs go to the same machine, where their images repeat.
_SHARD_BLOCK = 64
_JOBS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of one round, in the order they are sent.

    Args:
        hash: sha256 (hex) of what decides the plan: configuration, images, round, counts.
        round: Round of the closed loop.
        cells: The cells, by the numbers in `cell_J`.
        languages: The languages, by the numbers in `language_J`.
        sha256: The images, by the numbers in `images_J3`.
        cell_J: Number of each job's cell.
        language_J: Number of each job's language.
        images_J3: Query, positive and negative image; -1 where the cell has none.
        idea_J: Number of each job's task idea.
        seed_J: 48-bit seeds, all different.
        variations: What `idea_J` and the seeds choose from.
    """

    hash: str
    round: int
    cells: tuple[Cell, ...]
    languages: tuple[str, ...]
    sha256: tuple[str, ...]
    cell_J: NDArray[np.int8]
    language_J: NDArray[np.int16]
    images_J3: NDArray[np.int32]
    idea_J: NDArray[np.int32]
    seed_J: NDArray[np.int64]
    variations: Variations = field(default_factory=load_variations)

    def __len__(self) -> int:
        return len(self.cell_J)

    def jobs(self, shard: tuple[int, int] | None = None) -> Iterator[Job]:
        """The jobs in sending order.

        Args:
            shard: (i, N) gives the part of machine i of N, counted from 0;
                the parts together have every job of the plan once.

        Raises:
            ValueError: i is not below N.
        """
        if shard is not None and not 0 <= shard[0] < shard[1]:
            raise ValueError(f"shard must be (i, N) with 0 <= i < N; got {shard}")
        for start in range(0, len(self), _JOBS_AT_ONCE):
            index_B = np.arange(start, min(start + _JOBS_AT_ONCE, len(self)))
            if shard is not None:
                index_B = index_B[index_B // _SHARD_BLOCK % shard[1] == shard[0]]
            yield from self._jobs_at(index_B)

    def job(self, index: int) -> Job:
        """One job by its position in the order."""
        return next(self._jobs_at(np.array([index])))

    def counts(self) -> Counter[Slot]:
        """Number of jobs by slot; slots without any are left out."""
        slots, counts = np.unique(
            np.stack([self.cell_J.astype(np.int64), self.language_J]), axis=1, return_counts=True
        )
        cells, languages = self.cells, self.languages
        return Counter(
            {
                (cells[cell].task_type, cells[cell].modality, languages[language]): int(count)
                for (cell, language), count in zip(slots.T, counts, strict=True)
            }
        )

    def _jobs_at(self, index_B: NDArray[np.int64]) -> Iterator[Job]:
        variations = self.variations
        seed_B = self.seed_J[index_B]
        chosen = [
            [options[number] for number in _choose(seed_B, name, len(options))]
            for name, options in (
                ("length", variations.lengths),
                ("difficulty", variations.difficulties),
                ("register", variations.registers),
            )
        ]
        columns = zip(
            index_B.tolist(),
            self.cell_J[index_B].tolist(),
            self.language_J[index_B].tolist(),
            self.images_J3[index_B].tolist(),
            self.idea_J[index_B].tolist(),
            seed_B.tolist(),
            *chosen,
            strict=True,
        )
        prefix = hashlib.sha256(f"{self.hash}/{self.round}/".encode())
        for (
            index,
            cell_number,
            language,
            images,
            idea,
            seed,
            length,
            difficulty,
            register,
        ) in columns:
            cell = self.cells[cell_number]
            digest = prefix.copy()
            digest.update(b"%d" % index)
            yield Job(
                id=digest.hexdigest()[:24],
                round=self.round,
                index=index,
                cell=cell,
                language=self.languages[language],
                seed=seed,
                images=tuple(self.sha256[image] for image in images if image >= 0),
                length=length if cell.query_has_text else "",
                difficulty=difficulty,
                text_register=register if cell.query_has_text or cell.document_has_text else "",
                task_idea=variations.idea(cell, idea),
            )


def _choose(seed_B: NDArray[np.int64], name: str, num_options: int) -> list[int]:
    # "knob" is what variations were called before; another word would change every plan.
    return below(num_options, mix(seed_B.astype(np.uint64), key_of("knob", name))).tolist()
