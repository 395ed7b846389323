"""`images.max_samples_per_image`: no query image is used more often, over all rounds."""

from collections import Counter
from pathlib import Path

import pytest

from builder.api.plan import plan
from builder.config import BuildConfig
from builder.images.store import ImageStore
from builder.plan import Plan, PlanError, plan_round
from builder.workspace import Workspace, open_workspace
from tests.plan.conftest import fill


def bounded(num_samples: int, bound: int | None, **fields: object) -> BuildConfig:
    used = {"embedder": "descriptor", "window": (-1, 1), "max_samples_per_image": bound}
    content = {"num_samples": num_samples, "languages": {"fr": 1, "de": 1}, "images": used}
    return BuildConfig.model_validate(content | fields)


def uses(planned: Plan) -> Counter[str]:
    return Counter(job.images[0] for job in planned.jobs() if job.cell.query_has_image)


def test_without_a_bound_the_plan_is_what_it_was(store: ImageStore) -> None:
    loose, plain = bounded(300, None), bounded(300, 10**6)
    assert loose.workspace_hash == make_like(loose).workspace_hash
    hashes = {config.workspace_hash for config in (loose, plain)}
    assert len(hashes) == 2
    assert plan_round(loose, store, 0, {}).hash == plan_round(make_like(loose), store, 0, {}).hash


def make_like(config: BuildConfig) -> BuildConfig:
    content = config.model_dump()
    del content["images"]["max_samples_per_image"]
    return BuildConfig.model_validate(content)


@pytest.mark.parametrize("bound", [2, 3])
def test_no_image_is_planned_more_often_and_the_same_plan_comes_out(
    store: ImageStore, bound: int
) -> None:
    config = bounded(240, bound)
    one, two = (plan_round(config, store, 0, {}) for _ in range(2))
    assert len(one) == 240 and max(uses(one).values()) <= bound
    assert list(one.jobs()) == list(two.jobs())


def test_what_earlier_rounds_kept_counts(store: ImageStore) -> None:
    config = bounded(100, 1)
    first = plan_round(config, store, 0, {})
    used = uses(first)
    accepted = {slot: num for slot, num in first.counts().items() if slot[2] == "fr"}
    kept = Counter(
        job.images[0] for job in first.jobs() if job.language == "fr" and job.cell.query_has_image
    )
    second = plan_round(config, store, 1, accepted, image_uses=kept)
    assert max((kept + uses(second)).values()) == 1
    assert max(used.values()) == 1


def test_too_few_images_are_refused_with_the_number_needed(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "ws", create=True)
    with ImageStore(workspace.images_dir) as store:
        fill(store, 5)
    config = bounded(64, 2, task_shares={"vqa": 1})
    for ask in (
        lambda: plan(config, workspace.root),
        lambda: _plan_round(config, workspace),
    ):
        with pytest.raises(PlanError, match=r"10 images, each for 2 .* room for 20 more, and 64 "):
            ask()
        with pytest.raises(PlanError, match=r"Add 22 images"):
            ask()
    assert plan(bounded(20, 2, task_shares={"vqa": 1}), workspace.root).num_jobs == 20


def _plan_round(config: BuildConfig, workspace: Workspace) -> Plan:
    with ImageStore(workspace.images_dir) as store:
        return plan_round(config, store, 0, {})
