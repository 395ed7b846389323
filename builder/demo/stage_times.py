"""Seconds of each stage, on disk, so that a rerun does not replace them by those of a glance."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import orjson


class _Stage(TypedDict):
    seconds: float | None
    num_starts: int


class StageTimes:
    """What each stage took when it was done for the first time.

    Args:
        path: JSON file; made at the first stage.
        clock: Seconds, monotonic.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._stages: dict[str, _Stage] = orjson.loads(path.read_bytes()) if path.exists() else {}

    @contextmanager
    def measured(self, name: str, *, is_done_anew: bool = False) -> Iterator[None]:
        """Times the block, unless the stage was finished by an earlier run.

        Args:
            name: The stage.
            is_done_anew: Whether every run does all of it, so that the latest counts.
        """
        stage = self._stages.get(name, _Stage(seconds=None, num_starts=0))
        if is_done_anew:
            stage = _Stage(seconds=None, num_starts=0)
        is_finished = stage["seconds"] is not None
        if not is_finished:
            stage["num_starts"] += 1
            self._keep(name, stage)
        start_s = self._clock()
        yield
        if not is_finished:
            stage["seconds"] = round(self._clock() - start_s, 1)
            self._keep(name, stage)

    @property
    def seconds(self) -> dict[str, float]:
        """By stage, those that were finished."""
        times = {name: stage["seconds"] for name, stage in self._stages.items()}
        return {name: seconds for name, seconds in times.items() if seconds is not None}

    @property
    def resumed(self) -> list[str]:
        """Stages that were begun by one run and finished by another, whose seconds count alone."""
        return [name for name, stage in self._stages.items() if stage["num_starts"] > 1]

    def _keep(self, name: str, stage: _Stage) -> None:
        self._stages[name] = stage
        part = self._path.with_name(self._path.name + ".part")
        part.write_bytes(orjson.dumps(self._stages) + b"\n")
        part.replace(self._path)
