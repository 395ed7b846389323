"""A pilot: a handful of samples over all cells and many languages, to look at before paying more.

It is a first round of its own in the workspace of the build: with equal shares of the cells and one
share for each language, planned, asked and checked as any other. What it keeps counts towards the
build, which plans only what is still missing then; so nothing is paid for twice, and numbers and
shares may still be changed after it.
"""

import random

from builder.config import BuildConfig
from builder.ledger.ledger import Ledger
from builder.plan.shares import cell_shares_of, language_shares_of
from schemas.errors import PolysceneError


class PilotError(PolysceneError):
    """A pilot cannot be made here."""


def pilot_config(config: BuildConfig, num_samples: int) -> BuildConfig:
    """The build's configuration with the pilot's targets, for one round.

    Where there are more languages than samples, languages are drawn by their share, each once: the
    same for the same seed.
    """
    cells, _ = cell_shares_of(config)
    tasks = [cell.task_type for cell in cells]
    return config.model_copy(
        update={
            "num_samples": num_samples,
            "languages": dict.fromkeys(_languages(config, num_samples), 1.0),
            "task_shares": {task: float(tasks.count(task)) for task in dict.fromkeys(tasks)},
            "modality_shares": {
                task: {cell.modality: 1.0 for cell in cells if cell.task_type == task}
                for task in dict.fromkeys(tasks)
            },
            "max_rounds": 1,
            "max_slot_failures": None,
        }
    )


def require_pilot_fits(ledger: Ledger, pilot: BuildConfig) -> None:
    """Raises a `PilotError` where a build that is more than this pilot was begun already."""
    num_kept = sum(ledger.accepted_counts().values())
    others = [r for r in ledger.rounds() if not r.closed and r.targets != pilot.targets]
    if num_kept > pilot.num_samples or others:
        state = "with an unfinished round" if others else f"with {num_kept:,} kept samples"
        raise PilotError(
            f"{ledger.path.parent}: a build was begun here already, {state}, so a pilot of "
            f"{pilot.num_samples:,} adds nothing. Look at what is there with `python -m builder "
            "samples list --html FILE`, or make the pilot in a new workspace."
        )


def _languages(config: BuildConfig, num: int) -> list[str]:
    """All languages with a share, or so many of them drawn by their shares without replacement.

    Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
    """
    languages, shares = language_shares_of(config)
    if len(languages) <= num:
        return languages
    draw = random.Random(f"pilot:{config.seed}")
    keys = {
        code: draw.random() ** (1 / share) for code, share in zip(languages, shares, strict=True)
    }
    chosen = set(sorted(languages, key=keys.__getitem__, reverse=True)[:num])
    return [code for code in languages if code in chosen]
