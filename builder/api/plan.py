"""`plan`: what would be requested and what it would cost, before anything is sent."""

# C cells, L languages

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from builder.api.settings import Settings, read_settings
from builder.balance import wanted_targets
from builder.config import BuildConfig, TeacherConfig
from builder.cost.estimate import Estimate, estimate, estimate_judge
from builder.images.embedders import is_blind
from builder.images.index import index_images
from builder.images.store import ImageStore
from builder.ledger.ledger import JUDGED_BY, Ledger
from builder.ledger.query_images import query_image_counts
from builder.plan.recipe import require_recipe
from builder.plan.round import jobs_to_plan, require_room, room_of
from builder.plan.shares import Targets, targets_of
from builder.plan.teachers import share_of
from builder.workspace import Workspace, open_workspace
from command_line.extras import install_extra
from schemas.vocabulary import Slot

Role = Literal["teacher", "teachers", "judge", "both", "other"]
DEFAULT_DROP_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What the plan would take of one model: a teacher, all of them, the judge, all, or another."""

    role: Role
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a build would ask for; nothing was sent.

    Args:
        config: What it was planned from.
        jobs: Requests still to be made by (task type, modality combination, language).
        num_tried: Jobs that are done.
        num_images: Images in the workspace.
        image_size: Their mean width and height in pixels; zeros without images.
        drop_share: Share of replies expected to be dropped and asked for again.
        prices: Tokens and dollars, the teacher's first.
        warnings: What should be looked at before anything is paid for.
    """

    config: BuildConfig = field(repr=False)
    jobs: Mapping[Slot, int] = field(repr=False)
    num_tried: int
    num_images: int
    image_size: tuple[float, float]
    drop_share: float
    prices: tuple[ModelPrice, ...]
    warnings: tuple[str, ...] = ()

    @property
    def num_jobs(self) -> int:
        return sum(self.jobs.values())

    @property
    def usd(self) -> float | None:
        """Estimated price, with the judge's where there is one; None where it is unknown."""
        by_role = {price.role: price.estimate.usd for price in self.prices}
        return by_role.get("both", by_role.get("teachers", by_role.get("teacher")))

    def by_cell(self) -> dict[tuple[str, str], int]:
        """Jobs by task type and modality combination, in the order of the vocabulary."""
        counts: Counter[tuple[str, str]] = Counter()
        for (task_type, modality, _), num in self.jobs.items():
            counts[task_type, modality] += num
        return dict(counts)

    def by_language(self) -> dict[str, int]:
        """Jobs by language, the most first."""
        counts: Counter[str] = Counter()
        for (_, _, language), num in self.jobs.items():
            counts[language] += num
        return dict(sorted(counts.items(), key=lambda entry: -entry[1]))


def plan(
    config: Settings | None = None,
    workspace: Path | str = "workspace",
    *,
    models: Sequence[str] = (),
    drop_share: float = DEFAULT_DROP_SHARE,
) -> BuildPlan:
    """Counts the jobs by cell and language, and estimates tokens and price. Sends nothing.

        planned = plan({"num_samples": 200, "teacher": {"model": "gpt-5-mini"}})
        planned.num_jobs, planned.usd

    Args:
        config: A configuration, its settings, or a YAML file; the workspace's own if None.
        workspace: If it exists, its images give the picture size, and only what its ledger
            still lacks is planned.
        models: More models to price.
        drop_share: Share of replies expected to be dropped and asked for again.

    Raises:
        PolysceneError: The configuration or the workspace cannot be read.
    """
    root = Path(workspace)
    settings = read_settings(config, Workspace(root))
    require_recipe(settings)
    standing = _standing(root, settings)
    targets = standing.targets
    return BuildPlan(
        config=settings,
        jobs=_by_slot(targets, standing.planned_CL),
        num_tried=standing.num_tried,
        num_images=standing.num_images,
        image_size=standing.image_size,
        drop_share=drop_share,
        prices=tuple(_prices(settings, targets, standing, drop_share, models)),
        warnings=tuple(_warnings(targets, standing)),
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """The state of a workspace.

    Args:
        targets: What is wanted of it.
        planned_CL: Jobs still missing.
        to_judge_CL: Samples for the judge: those of the missing jobs, and those it has not seen.
        num_tried: Jobs done.
        image_size: Mean width and height in pixels; zeros without images.
        num_images: Images in the store.
        is_blind: Whether neighbours would be picked by colours and edges.
        shown_chars: Mean length of an image's caption and alternative text.
    """

    targets: Targets
    planned_CL: NDArray[np.int64]
    to_judge_CL: NDArray[np.int64]
    num_tried: int = 0
    image_size: tuple[float, float] = (0.0, 0.0)
    num_images: int = 0
    is_blind: bool = False
    shown_chars: float = 0.0


def _warnings(targets: Targets, standing: _Standing) -> Iterator[str]:
    jobs_C = standing.planned_CL.sum(axis=1)
    of_images = sum(
        int(jobs)
        for cell, jobs in zip(targets.cells, jobs_C, strict=True)
        if cell.document_has_image
    )
    if standing.is_blind and of_images:
        yield (
            f"{of_images:,} jobs have an image on the document side, and `images.embedder` is the "
            "descriptor, which compares colours and edges and takes a school bus for a langur. "
            f"{install_extra('embed')} and set it to auto, or name a vision model; look at `images "
            "neighbours`; or leave these cells out with `modality_shares`."
        )


def _standing(workspace: Path, settings: BuildConfig) -> _Standing:
    targets = targets_of(settings)
    if not (workspace / "workspace.json").exists():
        return _Standing(targets, targets.wanted_CL, targets.wanted_CL)
    opened = open_workspace(workspace)
    size, num_images, blind, shown_chars = (0.0, 0.0), 0, False, 0.0
    index, bounds_uses = None, settings.images.max_samples_per_image is not None
    if opened.images_dir.exists():
        with ImageStore(opened.images_dir) as store:
            index = index_images(store, settings.images.validation_share)
            size, num_images = (index.mean_width, index.mean_height), len(index)
            shown_chars = index.mean_shown_chars
            blind = num_images > 0 and is_blind(settings.images.embedder, store)
    nothing = np.zeros_like(targets.wanted_CL)
    image_uses: dict[str, int] = {}
    accepted_CL = replied_CL = tried_CL = unjudged_CL = nothing
    if opened.ledger_path.exists():
        with Ledger(opened.ledger_path) as ledger:
            targets = wanted_targets(settings, ledger)
            accepted_CL = targets.counts(ledger.accepted_counts())
            tried_CL = targets.counts(ledger.tried_counts())
            rounds = ledger.rounds()
            if rounds and rounds[-1].targets == settings.targets:
                replied_CL = targets.counts(ledger.replied_counts())
            judge = settings.judge.model if settings.judge else None
            image_uses = query_image_counts(ledger) if bounds_uses else {}
            unjudged_CL = nothing if ledger.meta(JUDGED_BY) == judge else accepted_CL
    planned_CL = jobs_to_plan(targets, accepted_CL, replied_CL, settings.tolerance)
    room_N = room_of(settings, index, image_uses) if index else None
    if room_N is not None and planned_CL.any():
        require_room(settings, targets, np.maximum(0, targets.wanted_CL - accepted_CL), room_N)
    to_judge_CL = planned_CL + unjudged_CL
    num_tried = int(tried_CL.sum())
    return _Standing(
        targets, planned_CL, to_judge_CL, num_tried, size, num_images, blind, shown_chars
    )


def _by_slot(targets: Targets, planned_CL: NDArray[np.int64]) -> dict[Slot, int]:
    return {
        (cell.task_type, cell.modality, language): int(planned_CL[row, column])
        for row, cell in enumerate(targets.cells)
        for column, language in enumerate(targets.languages)
    }


def _prices(
    settings: BuildConfig,
    targets: Targets,
    standing: _Standing,
    drop_share: float,
    models: Sequence[str],
) -> list[ModelPrice]:
    size = standing.image_size

    def of(teacher: TeacherConfig, planned_CL: NDArray[np.int64]) -> Estimate:
        return estimate(
            teacher,
            settings,
            targets,
            planned_CL,
            image_size=size,
            drop_share=drop_share,
            shown_chars=standing.shown_chars,
        )

    each = [of(model, planned_CL) for model, planned_CL in _by_teacher(settings, targets, standing)]
    prices = [ModelPrice("teacher", one) for one in each]
    own = each[0]
    if len(each) > 1:
        own = reduce(add, each)
        prices.append(ModelPrice("teachers", own))
    if settings.judge is not None:
        judged = estimate_judge(
            settings.judge, settings, targets, standing.to_judge_CL, image_size=size
        )
        prices += [ModelPrice("judge", judged), ModelPrice("both", own + judged)]
    known = {model.model for model in settings.writers.values()}
    others = dict.fromkeys(name for name in models if name and name not in known)
    return prices + [
        ModelPrice("other", of(TeacherConfig(model=name), standing.planned_CL)) for name in others
    ]


def _by_teacher(
    settings: BuildConfig, targets: Targets, standing: _Standing
) -> list[tuple[TeacherConfig, NDArray[np.int64]]]:
    """Each teacher with the jobs that it is expected to get, shape (C, L)."""
    if not settings.teachers:
        return [(settings.teacher, standing.planned_CL)]
    shares = (
        np.array([share_of(settings, role, language) for language in targets.languages])
        for role in settings.writers
    )
    return [
        (model, np.rint(standing.planned_CL * share_L).astype(np.int64))
        for model, share_L in zip(settings.writers.values(), shares, strict=True)
    ]
