"""What makes jobs differ: query length, difficulty, register and task idea."""

# J jobs

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from math import gcd
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from builder.config import BuildConfig
from builder.plan.mixing import mix
from builder.prompt_files import VARIATIONS_NAME, PromptFiles
from builder.prompts import PromptError
from schemas.vocabulary import Cell

_MAX_LINES = 1_000
_MAX_CHARS = 500


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
def builtin_variations() -> str:
    """The file that comes with this program."""
    return files(__package__ or __name__).joinpath(VARIATIONS_NAME).read_text(encoding="utf-8")


@cache
def load_variations() -> Variations:
    """Reads the lists that come with this program."""
    return _variations(yaml.safe_load(builtin_variations()))


def variations_of(config: BuildConfig) -> Variations:
    """A build's lists: its own, and the built-in ones where it has none.

    Raises:
        PromptError: A list is not valid; names file and list.
    """
    return _own_variations(config.prompts)


@lru_cache(8)
def _own_variations(prompts: PromptFiles | None) -> Variations:
    text = prompts.texts.get(VARIATIONS_NAME) if prompts else None
    if prompts is None or text is None:
        return load_variations()
    where = str(prompts.directory / VARIATIONS_NAME)
    try:
        content = yaml.safe_load(text) or {}
    except (yaml.YAMLError, RecursionError) as exc:
        raise PromptError(f"{where}: not YAML: {' '.join(str(exc).split())}. Fix it.") from exc
    builtin = yaml.safe_load(builtin_variations())
    return _variations(_merged(content, builtin, where, ""))


def _merged(own: Any, builtin: dict[str, Any], where: str, prefix: str) -> dict[str, Any]:
    """The built-in lists with one's own in place of those of the same name."""
    if not isinstance(own, dict):
        raise PromptError(f"{where}: {prefix or 'the file'} must be `name:` lines. Fix it.")
    unknown = [str(name) for name in own if name not in builtin]
    if unknown:
        raise PromptError(
            f"{where}: there is no list `{prefix}{unknown[0]}`. It may have {', '.join(builtin)}."
        )
    merged = dict(builtin)
    for name, lines in own.items():
        if isinstance(builtin[name], dict):
            merged[name] = _merged(lines, builtin[name], where, f"{name}.")
            continue
        if not isinstance(lines, list) or not lines or len(lines) > _MAX_LINES:
            raise PromptError(
                f"{where}: `{prefix}{name}` must be a list of 1 to {_MAX_LINES:,} lines. Fix it."
            )
        bad = [line for line in lines if not isinstance(line, str) or not line.strip()]
        if bad or max(map(len, lines)) > _MAX_CHARS:
            raise PromptError(
                f"{where}: each line of `{prefix}{name}` must be a text of 1 to {_MAX_CHARS} "
                "characters; put one that looks like a number or a mapping in quotes."
            )
        merged[name] = lines
    return merged


def _variations(content: dict[str, Any]) -> Variations:
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
