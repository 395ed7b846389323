"""A round's jobs: exact, unique, repeatable, with images that fit; and the loop closes."""

from collections import Counter
from io import BytesIO
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from builder.config import BuildConfig
from builder.images.split import split_of
from builder.images.store import ImageStore
from builder.plan import PlanError, plan_round, targets_of
from builder.plan.round import jobs_to_plan, largest_shortfall
from tests.plan.conftest import fill

CONFIG = BuildConfig(
    num_samples=2_000,
    languages="mme5",
    images={"embedder": "descriptor", "validation_share": 0.3, "num_neighbours": 12},  # type: ignore[arg-type]
)


def changed(fields: dict[str, object]) -> BuildConfig:
    return BuildConfig.model_validate(CONFIG.model_dump() | fields)


@pytest.fixture(scope="module")
def plan(store):
    return plan_round(CONFIG, store, 0, {})


def test_round_0_asks_for_exactly_what_is_wanted(plan):
    wanted = {slot: count for slot, count in targets_of(CONFIG).by_slot.items() if count}
    assert plan.counts() == wanted
    assert Counter((j.cell.task_type, j.cell.modality, j.language) for j in plan.jobs()) == wanted


def test_ids_and_seeds_are_unique_and_indices_run(plan):
    jobs = list(plan.jobs())
    assert len({job.id for job in jobs}) == len({job.seed for job in jobs}) == len(plan) == 2_000
    assert [job.index for job in jobs] == list(range(2_000))
    assert plan.job(1234) == jobs[1234]


def test_same_arguments_give_the_same_jobs(plan, store):
    assert list(plan_round(CONFIG, store, 0, {}).jobs()) == list(plan.jobs())


def test_what_decides_the_plan_changes_its_hash(plan, store):
    first = next(iter(targets_of(CONFIG).by_slot))
    others = [
        plan_round(changed({"seed": 1}), store, 0, {}),
        plan_round(CONFIG, store, 1, {}),
        plan_round(CONFIG, store, 0, {first: 3}),
    ]
    hashes = {plan.hash, *(other.hash for other in others)}
    assert len(hashes) == 4
    ids = {job.id for job in plan.jobs()}
    assert all(ids.isdisjoint(job.id for job in other.jobs()) for other in others)


def test_more_images_make_another_plan(tmp_path):
    with ImageStore(tmp_path / "images") as own:
        fill(own, 20)
        before = plan_round(CONFIG, own, 0, {})
        fill(own, 5, start=20)
        assert plan_round(CONFIG, own, 0, {}).hash != before.hash


def test_images_of_a_job_fit(plan, store):
    records = {record.sha256: record for record in store.records()}
    for job in plan.jobs():
        assert len(job.images) == len(set(job.images)) == len(job.cell.image_roles)
        splits = {split_of(records[name].group, 0.3) for name in job.images}
        assert len(splits) == 1
        groups = {
            role: records[name].group
            for role, name in zip(job.cell.image_roles, job.images, strict=True)
        }
        if "negative" in groups:
            assert groups["negative"] != groups["positive"]
            assert groups["negative"] != groups.get("query")


def test_a_positive_is_the_same_thing_where_there_is_another_picture_of_it(plan, store):
    records = {record.sha256: record for record in store.records()}
    pairs = [
        (records[job.images[0]].group, records[job.images[1]].group)
        for job in plan.jobs()
        if job.cell.image_roles == ("query", "positive", "negative")
    ]
    assert pairs
    assert all(query == positive for query, positive in pairs)


def test_images_are_used_evenly(plan):
    anchors = np.where(plan.images_J3[:, 0] >= 0, plan.images_J3[:, 0], plan.images_J3[:, 1])
    uses = np.bincount(anchors, minlength=120)
    assert uses.max() - uses.min() <= 2


def test_shards_are_a_partition(plan):
    parts = [[job.id for job in plan.jobs((number, 3))] for number in range(3)]
    assert sorted(chain.from_iterable(parts)) == sorted(job.id for job in plan.jobs())
    assert max(map(len, parts)) - min(map(len, parts)) <= 64
    with pytest.raises(ValueError, match="shard"):
        list(plan.jobs((3, 3)))


def test_a_language_gets_only_images_it_has_words_for(tmp_path):
    with ImageStore(tmp_path / "images") as own:
        fill(own, 30)
        records = list(own.records())
        for record in records:
            spoken = "en yi" if int(record.group.split()[1]) < 8 else "en"
            own._db.execute(
                "UPDATE image SET languages = ? WHERE sha256 = ?", (spoken, record.sha256)
            )
        config = changed({"languages": {"en": 1, "yi": 1}})
        for job in plan_round(config, own, 0, {}).jobs():
            assert all(job.language in (own.record(name).languages or ()) for name in job.images)
        config = changed({"languages": {"en": 1, "fr": 1}})
        with pytest.raises(PlanError, match=r"French \(fr\)"):
            plan_round(config, own, 0, {})


def test_no_images_is_one_clear_error(tmp_path):
    with (
        ImageStore(tmp_path / "images") as own,
        pytest.raises(PlanError, match="images add"),
    ):
        plan_round(CONFIG, own, 0, {})


def test_too_few_images_for_a_hard_negative_is_said(tmp_path):
    with ImageStore(tmp_path / "images") as own:
        fill(own, 1)
        with pytest.raises(PlanError, match=r"images\.window"):
            plan_round(CONFIG, own, 0, {})
        texts_only = changed({"task_shares": {"vqa": 1}})
        assert len(plan_round(texts_only, own, 0, {})) == 2_000


def test_near_duplicate_is_never_a_hard_negative_of_its_positive(tmp_path):
    with ImageStore(tmp_path / "images") as own:
        fill(own, 12)
        for record in list(own.records()):
            with Image.open(BytesIO(own.read(record.sha256).data)) as image:
                buffer = BytesIO()
                image.save(buffer, "WEBP", lossless=True)
            own.add(buffer.getvalue(), group=f"copy of {record.source}", source=record.source)
        sources = {record.sha256: record.source for record in own.records()}
        retrieval = changed({"task_shares": {"retrieval": 1}})
        for job in plan_round(retrieval, own, 0, {}).jobs():
            if job.cell.document_has_image:
                assert sources[job.images[-1]] != sources[job.images[-2]]


def test_planning_asks_more_where_more_was_dropped():
    config = BuildConfig(num_samples=1000, languages={"en": 1, "am": 1})
    targets = targets_of(config)
    tried = targets.wanted_CL.copy()
    accepted = tried.copy()
    accepted[:, 0] //= 2
    planned = jobs_to_plan(targets, accepted, tried, 0.01)
    missing = targets.wanted_CL - accepted
    assert (planned >= missing).all()
    assert planned[:, 0].sum() == pytest.approx(2 * missing[:, 0].sum(), rel=0.05)
    assert planned[:, 1].sum() == 0


def test_never_more_than_four_jobs_a_missing_sample():
    targets = targets_of(BuildConfig(num_samples=1000, languages={"en": 1}))
    nothing = np.zeros_like(targets.wanted_CL)
    planned = jobs_to_plan(targets, nothing, targets.wanted_CL, 0.01)
    assert planned.sum() == 4000


@pytest.mark.parametrize(
    ("num_samples", "drop_biased"), [(3_000, 0.3), (40_000, 0.3), (20_000, 0.8)]
)
def test_the_loop_closes_with_a_biased_server(num_samples, drop_biased):
    """30 % (and 80 %) failures in five languages, 4 % elsewhere: met in at most 6 rounds."""
    config = BuildConfig(num_samples=num_samples, languages="mme5")
    targets = targets_of(config)
    drop = np.full(len(targets.languages), 0.04)
    drop[[targets.languages.index(code) for code in ("am", "my", "si", "zh", "ar")]] = drop_biased
    random = np.random.default_rng(0)
    accepted = np.zeros_like(targets.wanted_CL)
    tried = np.zeros_like(accepted)
    num_jobs = 0
    for _ in range(config.max_rounds):
        planned = jobs_to_plan(targets, accepted, tried, config.tolerance)
        if not planned.any():
            break
        kept = random.binomial(planned, 1 - drop)
        tried += planned
        num_jobs += int(planned.sum())
        accepted = np.minimum(accepted + kept, targets.wanted_CL)
    # What cannot be met in six rounds at 80 % dropped is small, and said by the report.
    allowed = config.tolerance if drop_biased < 0.5 else 0.05
    assert largest_shortfall(targets, accepted) <= allowed
    needed = (targets.wanted_CL / (1 - drop)).sum()
    assert num_jobs < 1.05 * needed + 200
