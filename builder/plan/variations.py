"""What makes jobs differ: query length, difficulty, register and task idea."""

# J jobs

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import gcd

import numpy as np
import yaml
from numpy.typing import NDArray

from builder.plan.mixing import mix
from schemas.vocabulary import Cell


@dataclass(frozen=True, slots=True)
class Variations:
    """What to choose from; see `variations.yaml`."""

    lengths: tuple[str, ...]
    difficulties: tuple[str, ...]
    registers: tuple[str, ...]
    places: tuple[str, ...]
    angles: dict[str, tuple[str, ...]]
    goals: dict[str, tuple[str, ...]]

    def num_ideas(self, cell: Cell) -> int:
        """The number of different task ideas of a cell."""
        parts = (self.goals[cell.name], self.places, self.angles[cell.task_type])
        return len(parts[0]) * len(parts[1]) * len(parts[2])

    def idea(self, cell: Cell, number: int) -> str:
        """The task idea of a number below `num_ideas`."""
        goals, angles = self.goals[cell.name], self.angles[cell.task_type]
        number, goal = divmod(number, len(goals))
        number, place = divmod(number, len(self.places))
        return f"{goals[goal]}; {self.places[place]}; {angles[number]}"


@cache
def load_variations() -> Variations:
    """Reads the lists that come with this program."""
    text = files(__package__ or __name__).joinpath("variations.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    return Variations(
        **{name: tuple(content[name]) for name in ("lengths", "difficulties", "registers")},
        places=tuple(content["places"]),
        angles={task: tuple(lines) for task, lines in content["angles"].items()},
        goals={cell: tuple(lines) for cell, lines in content["goals"].items()},
    )


def number_ideas(num_jobs: int, num_ideas: int, key: int) -> NDArray[np.int32]:
    """Numbers below `num_ideas`, shape (J,): none is repeated before all were used.

    Steps through the ring of ideas by a number coprime to its length, so that
    neighbouring jobs differ in goal, place and angle at once.
    """
    start, step = (int(value) for value in mix(np.arange(2, dtype=np.uint64), key) >> np.uint64(16))
    start, step = start % num_ideas, step % num_ideas
    while gcd(step, num_ideas) != 1:
        step += 1
    ranks = np.arange(num_jobs, dtype=np.int64)
    return ((start + ranks * step) % num_ideas).astype(np.int32)
