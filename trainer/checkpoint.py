"""Checkpoints from which a killed run resumes exactly: whole or absent, the newest few kept."""

import hashlib
import os
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from schemas.errors import naming
from trainer.config import TrainConfig
from trainer.data.items import Row
from trainer.errors import ResumeError

_NAME = re.compile(r"step-(\d{8})\.pt")
BEST_NAME = "best.pt"
FORMAT_VERSION = 1

#: Settings that may differ between a run and the one that resumes it.
_FREE_SETTINGS = frozenset(
    {"log_steps", "save_steps", "eval_steps", "keep_checkpoints", "max_chunk_tokens"}
)


def fingerprint(
    config: TrainConfig, rows: Iterable[Row], version: str, model: str
) -> dict[str, str]:
    """What must be equal for a run to be resumed: every setting but a few, the rows, the model.

    Args:
        config: Of the run.
        rows: That it trains on.
        version: They are from.
        model: `Encoder.fingerprint` before the first step; checkpoints have no frozen weights.
    """
    settings = config.model_dump(mode="json", exclude=set(_FREE_SETTINGS))
    flat = {name: repr(value) for name, value in _flatten(settings).items() if name != "dataset"}
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr((row.id, row.query, row.positive, row.negatives)).encode())
    return {
        **flat,
        "version": version,
        "rows": digest.hexdigest()[:16],
        "first weights": model,
    }


def _flatten(settings: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in _flatten(value).items()}
        else:
            flat[name] = value
    return flat


@dataclass(slots=True)
class RunProgress:
    """Progress of a run, saved beside weights and optimiser.

    Args:
        step: Steps done.
        sampler: State of the batch sampler.
        best_metric: Best evaluation so far.
        best_step: Step at which it was measured.
    """

    step: int = 0
    sampler: dict[str, Any] = field(default_factory=dict)
    best_metric: float | None = None
    best_step: int | None = None


class Checkpoints:
    """The checkpoints of one run.

    Args:
        directory: Holds them and nothing else.
        keep: Number of newest checkpoints that are kept.
        identity: See `fingerprint`; saved in each, and compared before resuming.
    """

    def __init__(self, directory: Path, *, keep: int, identity: dict[str, str]) -> None:
        self.directory = directory
        self._keep = keep
        self._identity = identity

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        progress: RunProgress,
    ) -> Path:
        """Writes one, whole or not at all, then removes the oldest beyond `keep`."""
        path = self.directory / f"step-{progress.step:08d}.pt"
        _write(
            {
                "format_version": FORMAT_VERSION,
                "identity": self._identity,
                "model": trainable_state(model),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "random": _random_state(),
                "step": progress.step,
                "sampler": progress.sampler,
                "best_metric": progress.best_metric,
                "best_step": progress.best_step,
            },
            path,
        )
        for _, old in self._found()[: -self._keep]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, model: nn.Module, step: int) -> None:
        """Keeps the weights of the best evaluation so far."""
        content = {"identity": self._identity, "model": trainable_state(model), "step": step}
        _write(content, self.directory / BEST_NAME)

    def load_best(self, model: nn.Module) -> int | None:
        """Loads the best weights into the model; returns their step, or None if there are none."""
        path = self.directory / BEST_NAME
        if not path.is_file():
            return None
        content = self._read(path)
        load_trainable_state(model, content["model"])
        return content["step"]

    def newest(self) -> Path | None:
        """The newest whole checkpoint, or None."""
        found = self._found()
        return found[-1][1] if found else None

    def resume(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> RunProgress | None:
        """Restores the state of the newest checkpoint; None if there is none.

        Raises:
            ResumeError: It belongs to a run with other settings or rows, or is damaged.
        """
        path = self.newest()
        if path is None:
            return None
        content = self._read(path)
        load_trainable_state(model, content["model"])
        optimizer.load_state_dict(content["optimizer"])
        schedule.load_state_dict(content["schedule"])
        _restore_random_state(content["random"])
        return RunProgress(
            content["step"], content["sampler"], content["best_metric"], content["best_step"]
        )

    def clear(self) -> None:
        """Removes every checkpoint of an earlier run, and nothing else."""
        for _, path in self._found():
            path.unlink(missing_ok=True)
        (self.directory / BEST_NAME).unlink(missing_ok=True)

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            found: dict[str, str] = content["identity"]
        except (OSError, RuntimeError, KeyError, EOFError, TypeError, ValueError) as exc:
            raise ResumeError(path, f"unreadable ({type(exc).__name__})") from exc
        except Exception as exc:  # the unpickler's own errors
            raise ResumeError(path, f"not a checkpoint ({type(exc).__name__})") from exc
        differing = [
            f"{name} {found.get(name, 'unset')} there, {wanted} now"
            for name, wanted in self._identity.items()
            if found.get(name) != wanted
        ]
        if differing:
            raise ResumeError(path, f"it belongs to a run with {'; '.join(differing[:3])}")
        return content

    def _found(self) -> list[tuple[int, Path]]:
        if not self.directory.is_dir():
            return []
        named = [(_NAME.fullmatch(path.name), path) for path in self.directory.iterdir()]
        return sorted((int(match[1]), path) for match, path in named if match)


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """Trainable parameters and buffers that are saved, by name, on the CPU."""
    trainable = {name for name, each in model.named_parameters() if each.requires_grad}
    frozen = {name for name, _ in model.named_parameters()} - trainable
    return {
        name: tensor.detach().cpu().clone()
        for name, tensor in model.state_dict().items()
        if name not in frozen
    }


def load_trainable_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Restores what `trainable_state` returned."""
    result = model.load_state_dict(state, strict=False)
    assert not result.unexpected_keys, f"not of this model: {result.unexpected_keys[:3]}"


def _write(content: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with naming(path), unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _random_state() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": [version, list(words), gauss],
        "numpy": [
            name,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
    }


def _restore_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
