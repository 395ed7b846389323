"""Plans one round of the closed loop: what is still missing becomes jobs."""

# J jobs, C cells, L languages

import hashlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from builder.config import BuildConfig
from builder.images.index import ImageIndex, index_images
from builder.images.neighbours import Neighbours, neighbours_of
from builder.images.store import ImageStore
from builder.plan.columns import Plan
from builder.plan.mixing import key_of, unique_seeds
from builder.plan.order import PLAN_VERSION, sending_order
from builder.plan.picking import ImagePicker, PlanError
from builder.plan.shares import Targets, targets_of
from builder.plan.variations import Variations, number_ideas, variations_of
from schemas.vocabulary import Slot

#: At most this many jobs are planned per missing sample, however few were accepted so far.
_MAX_JOBS_PER_SAMPLE = 4.0


def plan_round(
    config: BuildConfig,
    store: ImageStore,
    round: int,
    accepted_counts: Mapping[Slot, int],
    tried_counts: Mapping[Slot, int] | None = None,
    *,
    workspace_hash: str | None = None,
    base: Mapping[Slot, int] | None = None,
    limits: Mapping[Slot, int] | None = None,
    image_uses: Mapping[str, int] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Plan:
    """Plans jobs for the missing samples; the same arguments give the same jobs.

    Args:
        config: The build.
        store: Its images.
        round: Number of this round, from 0.
        accepted_counts: Samples kept in the rounds before, by slot.
        tried_counts: Jobs kept or dropped in the rounds before, by slot. What
            is missing in a language gets more jobs, the more of its jobs were
            dropped; without these counts, one job per sample.
        workspace_hash: As the workspace noted it when it was begun, by whatever version; the
            configuration's own if not given.
        base: What the table of targets is grown from, as for `targets_of`.
        limits: The most jobs of slots that fail, by slot; others have no limit.
        image_uses: Kept samples that have each image as their query image, by its sha256; matters
            where the configuration bounds them.
        on_progress: Called with the number of images just embedded.

    Returns:
        An empty plan once every share is met within `config.tolerance`.

    Raises:
        PlanError: There are no images, or none suitable for a language or cell.
    """
    targets = targets_of(config, base)
    accepted_CL = targets.counts(accepted_counts)
    tried_CL = targets.counts(tried_counts or {})
    planned_CL = jobs_to_plan(targets, accepted_CL, tried_CL, config.tolerance)
    if limits:
        unlimited = dict.fromkeys(targets.by_slot, int(planned_CL.max()))
        planned_CL = np.minimum(planned_CL, targets.counts(unlimited | dict(limits)))
    needs_images = bool(planned_CL.any())
    index = index_images(store, config.images.validation_share) if needs_images else None
    room_N = room_of(config, index, image_uses or {}) if index else None
    if room_N is not None:
        missing_CL = np.maximum(0, targets.wanted_CL - accepted_CL)
        planned_CL = _within_room(config, targets, planned_CL, missing_CL, room_N)
    num_jobs = int(planned_CL.sum())
    cell_J, language_J = _spread(planned_CL)
    identity = workspace_hash or config.workspace_hash
    plan_hash = _plan_hash(identity, targets, index, round, planned_CL)
    key = key_of(plan_hash)
    if index is None:
        images_J3 = np.zeros((0, 3), dtype=np.int32)
    else:
        neighbours = _neighbours(config, store, index, targets, planned_CL, on_progress)
        picker = ImagePicker(index, neighbours, targets.languages, key, room_N)
        images_J3 = picker.pick(targets.cells, cell_J, language_J)
    variations = variations_of(config)
    idea_J = _ideas(targets, variations, cell_J, key)
    anchor_J = np.where(images_J3[:, 0] >= 0, images_J3[:, 0], images_J3[:, 1])
    order_J = sending_order(cell_J, language_J, anchor_J, key)
    return Plan(
        hash=plan_hash,
        round=round,
        cells=targets.cells,
        languages=targets.languages,
        sha256=index.sha256 if index else (),
        cell_J=cell_J[order_J],
        language_J=language_J[order_J],
        images_J3=images_J3[order_J],
        idea_J=idea_J[order_J],
        seed_J=unique_seeds(round, num_jobs, key_of("seed", config.seed)),
        variations=variations,
    )


def jobs_to_plan(
    targets: Targets,
    accepted_CL: NDArray[np.int64],
    tried_CL: NDArray[np.int64],
    tolerance: float,
) -> NDArray[np.int64]:
    """Jobs per cell and language: missing samples divided by the language's acceptance rate.

    Args:
        targets: Samples wanted.
        accepted_CL: Samples kept so far.
        tried_CL: Jobs kept or dropped so far; zeros if unknown.
        tolerance: No jobs are planned once every share is met within it.

    Returns:
        Shape (C, L); at least the missing samples, unless nothing is planned.
    """
    if tried_CL.any() and largest_shortfall(targets, accepted_CL) <= tolerance:
        return np.zeros_like(targets.wanted_CL)
    missing_CL = np.maximum(0, targets.wanted_CL - accepted_CL)
    tried_L = tried_CL.sum(axis=0)
    # One imaginary success, so that a few drops do not make a language look hopeless.
    accepted_share_L = (np.minimum(accepted_CL.sum(axis=0), tried_L) + 1) / (tried_L + 1)
    jobs_per_sample_L = np.minimum(1 / accepted_share_L, _MAX_JOBS_PER_SAMPLE)
    planned_CL = np.floor(missing_CL * jobs_per_sample_L).astype(np.int64)
    # The remainder lost by rounding down goes to the first cells, one job each.
    wanted_L = np.floor(missing_CL.sum(axis=0) * jobs_per_sample_L + 0.5).astype(np.int64)
    left_L = wanted_L - planned_CL.sum(axis=0)
    rank_CL = np.where(missing_CL > 0, (missing_CL > 0).cumsum(axis=0), len(missing_CL) + 1)
    return planned_CL + (rank_CL <= left_L)


def room_of(
    config: BuildConfig, index: ImageIndex, image_uses: Mapping[str, int]
) -> NDArray[np.int64] | None:
    """How many more samples may have each image as their query image; None for no bound."""
    bound = config.images.max_samples_per_image
    if bound is None:
        return None
    uses_N = np.array([image_uses.get(name, 0) for name in index.sha256], dtype=np.int64)
    return np.maximum(0, bound - uses_N)


def require_room(
    config: BuildConfig, targets: Targets, missing_CL: NDArray[np.int64], room_N: NDArray[np.int64]
) -> None:
    """Checks that there are images enough for the samples still missing.

    Raises:
        PlanError: There are not; says how many are needed.
    """
    bound = config.images.max_samples_per_image
    assert bound is not None
    num_missing, room = int(missing_CL[_has_query(targets)].sum()), int(room_N.sum())
    if num_missing > room:
        more = -(-(num_missing - room) // bound)
        raise PlanError(
            f"images.max_samples_per_image: {len(room_N):,} images, each for {bound:,} samples at "
            f"most, have room for {room:,} more, and {num_missing:,} samples with a query image "
            f"are missing. Add {more:,} images, raise it, or ask for fewer samples."
        )


def _within_room(
    config: BuildConfig,
    targets: Targets,
    planned_CL: NDArray[np.int64],
    missing_CL: NDArray[np.int64],
    room_N: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The jobs, without those that expect to be dropped where there is no room for them."""
    has_query = _has_query(targets)
    if planned_CL[has_query].sum() <= room_N.sum():
        return planned_CL
    planned_CL = planned_CL.copy()
    planned_CL[has_query] = np.minimum(planned_CL, missing_CL)[has_query]
    require_room(config, targets, planned_CL, room_N)
    return planned_CL


def _has_query(targets: Targets) -> NDArray[np.bool_]:
    return np.array([cell.query_has_image for cell in targets.cells])


def largest_shortfall(targets: Targets, accepted_CL: NDArray[np.int64]) -> float:
    """Largest share of its target that a language or cell lacks; 0.01 is one percent."""
    counted_CL = np.minimum(accepted_CL, targets.wanted_CL)
    gaps = [
        1 - counted_CL.sum(axis=axis) / np.maximum(1, targets.wanted_CL.sum(axis=axis))
        for axis in (0, 1)
    ]
    wanted = [targets.wanted_CL.sum(axis=axis) > 0 for axis in (0, 1)]
    return max(float(gap[some].max(initial=0)) for gap, some in zip(gaps, wanted, strict=True))


def _spread(planned_CL: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """Cell and language of each job, cell by cell, languages in order."""
    num_cells, num_languages = planned_CL.shape
    cell_J = np.repeat(np.arange(num_cells, dtype=np.int8), planned_CL.sum(axis=1))
    language_CL = np.tile(np.arange(num_languages, dtype=np.int16), num_cells)
    return cell_J, np.repeat(language_CL, planned_CL.reshape(-1))


def _ideas(
    targets: Targets, variations: Variations, cell_J: NDArray[np.int8], key: int
) -> NDArray[np.int32]:
    idea_J = np.zeros(len(cell_J), dtype=np.int32)
    for number, cell in enumerate(targets.cells):
        mine = np.flatnonzero(cell_J == number)
        num_ideas = variations.num_ideas(cell)
        idea_J[mine] = number_ideas(len(mine), num_ideas, key_of(key, "ideas", cell.name))
    return idea_J


def _neighbours(
    config: BuildConfig,
    store: ImageStore,
    index: ImageIndex,
    targets: Targets,
    planned_CL: NDArray[np.int64],
    on_progress: Callable[[int], None] | None,
) -> Neighbours | None:
    planned = [cell for cell, jobs in zip(targets.cells, planned_CL, strict=True) if jobs.any()]
    if not any(cell.document_has_image for cell in planned):
        return None
    return neighbours_of(store, index, config.images, on_progress=on_progress)


def _plan_hash(
    identity: str,
    targets: Targets,
    index: ImageIndex | None,
    round: int,
    planned_CL: NDArray[np.int64],
) -> str:
    names = [*(cell.name for cell in targets.cells), *targets.languages]
    decided = (PLAN_VERSION, identity, index and index.digest, round, *names)
    digest = hashlib.sha256("/".join(map(str, decided)).encode())
    digest.update(planned_CL.astype("<i8").tobytes())
    return digest.hexdigest()
