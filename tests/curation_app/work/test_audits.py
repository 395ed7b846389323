"""Audits: designs are fixed, draws repeat, figures follow the votes, planted defects stay apart."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from curation_app.data.version import VersionDataset, open_dataset
from curation_app.store import ReviewStore
from curation_app.work.audit_plan import AuditError, draw, find_population, make_plan
from curation_app.work.audits import Audit, Audits
from curation_app.work.decisions import Decision
from curation_app.work.people import Person
from curation_app.work.planting import SeedError
from curation_app.work.queues import QueueError, Queues
from schemas.audit import (
    AcceptancePurpose,
    AuditDesign,
    AuditPopulation,
    PrecisionPurpose,
    SampleSizePurpose,
)
from schemas.review import Edits, ReviewEvent
from tests.curation_app.tiny_release import add_image, make_sample, write_release
from tests.curation_app.tiny_release import draw as draw_image
from tests.curation_app.work.audited_release import audited_release

LEAD = Person("lead", "lead")
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
_ids = count()

Vote = Callable[[str], bool]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> VersionDataset:
    return audited_release(tmp_path_factory.mktemp("audited"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReviewStore]:
    with ReviewStore(tmp_path / "reviews.sqlite") as opened:
        yield opened


@pytest.fixture
def audits(version: VersionDataset, store: ReviewStore) -> Audits:
    queues = Queues(store.database, version.version)
    return Audits(version, store, queues, clock=lambda: NOW)


def design(num: int = 60, **changes: object) -> AuditDesign:
    fields: dict[str, object] = {"title": "Audit", "purpose": SampleSizePurpose(num=num), "seed": 7}
    return AuditDesign.model_validate({**fields, **changes})


def review(
    audits: Audits,
    store: ReviewStore,
    version: VersionDataset,
    audit: Audit,
    reviewer: str,
    is_defect: Vote,
    **changes: object,
) -> None:
    """A reviewer goes through a queue as the page would: claim, look, decide."""
    queues = Queues(store.database, version.version)
    while lease := queues.claim(audit.queue_id, Person(reviewer)):
        item_id = lease.item_id
        verdict = "reject" if is_defect(item_id) else "accept"
        planted = audits.seeds.sample(item_id)
        if planted is not None:
            decision = Decision.model_validate(
                {
                    "event_id": f"event-{next(_ids):08d}",
                    "sample_id": item_id,
                    "content_hash": planted.content_hash,
                    "kind": "verdict",
                    "verdict": verdict,
                }
            )
            audits.seeds.record(decision, reviewer=reviewer, seen_own="")
            continue
        row = version.row_of(item_id)
        assert row is not None
        store.append(vote(version, audit, item_id, reviewer, verdict=verdict, **changes))


def vote(
    version: VersionDataset, audit: Audit, item_id: str, reviewer: str, **changes: object
) -> ReviewEvent:
    row = version.row_of(item_id)
    assert row is not None
    fields: dict[str, object] = {
        "event_id": f"event-{next(_ids):08d}",
        "ts": NOW.isoformat(),
        "reviewer": reviewer,
        "dataset_version": version.version,
        "sample_id": item_id,
        "content_hash": version.load(row).content_hash,
        "kind": "verdict",
        "queue_id": audit.queue_id,
    }
    return ReviewEvent.model_validate({**fields, **changes})


def drawn_ids(
    audits: Audits, audit: Audit, store: ReviewStore, version: VersionDataset
) -> list[str]:
    seeds = audits.seeds.kinds(audit.queue_id)
    items = Queues(store.database, version.version).items(audit.queue_id)
    return [item.item_id for item in items if item.item_id not in seeds]


def test_the_same_seed_draws_the_same_rows_and_another_draws_others(
    version: VersionDataset,
) -> None:
    def ids(seed: int) -> list[int]:
        chosen = design(seed=seed, strata="language")
        population = find_population(version, chosen)
        return [item.row for item in draw(chosen, make_plan(chosen, population), population)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)
    assert len(set(ids(1))) == 60


def test_every_item_is_stored_with_the_probability_it_had(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    audit = audits.start(design(40, strata="language_modality", min_per_stratum=1), LEAD)
    planned = {stratum.name: stratum for stratum in audit.plan.strata}
    items = Queues(store.database, version.version).items(audit.queue_id)
    assert sum(1 / (item.inclusion_prob or 0) for item in items) == pytest.approx(len(version))
    drawn = Counter(item.stratum for item in items)
    assert drawn == {name: stratum.num for name, stratum in planned.items() if stratum.num}


def test_a_population_and_its_strata_are_those_of_the_version(version: VersionDataset) -> None:
    chosen = design(population=AuditPopulation(language="ar"), strata="modality")
    population = find_population(version, chosen)
    assert len(population.rows_M) == 60
    assert {version.value("language", int(row)) for row in population.rows_M} == {"ar"}
    for row, stratum in zip(population.rows_M, population.strata_M, strict=True):
        assert population.names[stratum] == version.value("modality", int(row))
    with pytest.raises(AuditError, match="no rows of language fr"):
        find_population(version, design(population=AuditPopulation(language="fr")))
    with pytest.raises(AuditError, match="not a language code"):
        find_population(version, design(population=AuditPopulation(language="xx")))


def test_a_plan_says_what_it_takes_and_gives(audits: Audits) -> None:
    plan = audits.plan(
        design(
            purpose=PrecisionPurpose(half_width=0.05, expected_rate=0.1), overlap=2, num_seeds=10
        )
    )
    assert plan.expected_half_width is not None and plan.expected_half_width <= 0.05
    assert plan.num_verdicts == 2 * (plan.num_items + 10)
    accept = audits.plan(design(purpose=AcceptancePurpose(good_rate=0.02, bad_rate=0.1)))
    assert accept.max_defects is not None and accept.expected_half_width is None
    assert accept.producer_risk is not None and accept.producer_risk <= 0.05
    with pytest.raises(AuditError, match="acceptance plan"):
        audits.plan(design(purpose=AcceptancePurpose(good_rate=0.1, bad_rate=0.02)))


def test_the_rate_is_weighted_by_the_size_of_the_strata(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    audit = audits.start(design(60, strata="language"), LEAD)

    def is_arabic(item_id: str) -> bool:
        row = version.row_of(item_id)
        return row is not None and version.value("language", row) == "ar"

    review(audits, store, version, audit, "noor", is_arabic)
    figures = audits.figures(audit.audit_id)
    assert figures.decision == "done" and figures.num_decided == 60
    assert figures.overall is not None and figures.overall.rate == pytest.approx(0.2)
    by_name = {stratum.name: stratum.found for stratum in figures.strata}
    assert by_name["ar"] is not None and by_name["ar"].rate == 1
    assert by_name["ja"] is not None and by_name["ja"].rate == 0 and by_name["ja"].high > 0.1
    assert figures.any_time is None  # of a draw with strata nothing is claimed at every look


def test_an_audit_without_verdicts_has_no_rate_and_goes_on(audits: Audits) -> None:
    figures = audits.figures(audits.start(design(), LEAD).audit_id)
    assert figures.overall is None and figures.decision == "go on" and figures.facets == ()


def test_an_acceptance_plan_decides_as_soon_as_it_can(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    purpose = AcceptancePurpose(good_rate=0.02, bad_rate=0.2)
    audit = audits.start(design(purpose=purpose, strata="language"), LEAD)
    assert audit.plan.max_defects is not None
    ids = drawn_ids(audits, audit, store, version)
    for number, item_id in enumerate(ids):
        before = audits.figures(audit.audit_id)
        assert before.decision == "go on" and before.num_decided == number
        store.append(vote(version, audit, item_id, "noor", verdict="reject"))
        if number == audit.plan.max_defects:
            break
    after = audits.figures(audit.audit_id)
    assert after.decision == "reject" and after.num_decided < audit.plan.num_items
    assert after.any_time is not None


def test_an_edit_counts_as_a_defect_unless_the_design_says_otherwise(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    for counts in (True, False):
        audit = audits.start(design(10, edits_are_defects=counts), LEAD)
        changed = {"kind": "edit", "edits": Edits(instruction="Find the one that is asked for.")}
        review(audits, store, version, audit, "noor", lambda _: False, **changed)
        assert audits.figures(audit.audit_id).num_defects == (10 if counts else 0)


def test_a_tie_is_a_defect_until_a_lead_settles_it(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    audit = audits.start(design(12, overlap=2), LEAD)
    review(audits, store, version, audit, "noor", lambda _: False)
    assert audits.figures(audit.audit_id).num_decided == 0  # one vote of two is no decision
    review(audits, store, version, audit, "ben", lambda _: True)
    figures = audits.figures(audit.audit_id)
    assert (figures.num_decided, figures.num_defects, figures.num_unsettled) == (12, 12, 12)
    assert figures.agreement is not None and figures.agreement.raw == 0
    settled = drawn_ids(audits, audit, store, version)[0]
    store.append(
        vote(version, audit, settled, "lead", kind="adjudicate", verdict="accept", queue_id="other")
    )
    figures = audits.figures(audit.audit_id)
    assert (figures.num_defects, figures.num_unsettled) == (11, 11)


def test_a_verdict_taken_back_leaves_the_figures(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    audit = audits.start(design(10), LEAD)
    item_id = drawn_ids(audits, audit, store, version)[0]
    cast = store.append(vote(version, audit, item_id, "noor", verdict="reject"))
    assert audits.figures(audit.audit_id).num_defects == 1
    store.append(
        vote(version, audit, item_id, "noor", kind="undo", undoes=cast.event_id, verdict=None)
    )
    assert audits.figures(audit.audit_id).num_decided == 0


def test_verdicts_outside_the_audit_are_not_in_its_rate(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    """A worst-first queue, or browsing, never feeds the rate."""
    audit = audits.start(design(10), LEAD)
    for item_id in drawn_ids(audits, audit, store, version):
        store.append(vote(version, audit, item_id, "noor", verdict="reject", queue_id=""))
    assert audits.figures(audit.audit_id).num_decided == 0


def test_planted_defects_are_never_events_and_correct_the_rate(
    audits: Audits, store: ReviewStore, version: VersionDataset, tmp_path: Path
) -> None:
    audit = audits.start(design(90, num_seeds=20), LEAD)
    seeds = audits.seeds.kinds(audit.queue_id)
    assert Counter(seeds.values()).keys() == {"swapped", "other_language", "other_query"}
    missed = set(sorted(seeds)[:5])
    ids = drawn_ids(audits, audit, store, version)
    defects = set(ids[:9]) | (set(seeds) - missed)
    review(audits, store, version, audit, "noor", defects.__contains__)
    figures = audits.figures(audit.audit_id)
    assert (figures.num_decided, figures.num_defects) == (90, 9)
    assert (figures.num_seeds_decided, figures.num_seeds_found) == (20, 15)
    assert figures.overall is not None and figures.corrected is not None
    assert figures.corrected.rate == pytest.approx(0.1 / 0.75)
    assert figures.corrected.high > figures.overall.high
    stored = {event.sample_id for event in store.events()}
    assert not stored & set(seeds) and len(stored) == 90
    store.export(tmp_path / "reviews.jsonl")
    exported = (tmp_path / "reviews.jsonl").read_text(encoding="utf-8")
    assert not any(seed_id in exported for seed_id in seeds)
    (reviewer,) = audits.reviewers(audit.audit_id)
    assert (reviewer.num_votes, reviewer.num_seeds_shown, reviewer.num_seeds_found) == (90, 20, 15)
    assert sum(row[2] for row in audits.seed_summary()) == 20


def test_planted_defects_lie_among_the_rows_and_in_rows_that_are_not_drawn(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    audit = audits.start(design(100, num_seeds=30), LEAD)
    seeds = audits.seeds.kinds(audit.queue_id)
    items = [item.item_id for item in Queues(store.database, version.version).items(audit.queue_id)]
    places = [place for place, item_id in enumerate(items) if item_id in seeds]
    assert min(places) < 30 and max(places) > 100
    origins = {audits.seeds.origin(seed_id) for seed_id in seeds}
    assert len(origins) == 30 and not origins & set(drawn_ids(audits, audit, store, version))
    with pytest.raises(SeedError, match="Ask for fewer"):
        audits.start(design(290, num_seeds=30), LEAD)
    assert len(audits.all()) == 1  # nothing of it was kept


def test_scores_that_follow_the_defects_narrow_the_interval(
    tmp_path: Path, store: ReviewStore
) -> None:
    images: dict[str, bytes] = {}
    sha = tuple(add_image(images, draw_image(number, side_px=80)) for number in range(3))
    samples = []
    for number in range(400):
        texts = (f"query {number}", f"answer {number}", f"other {number}")
        sample = make_sample("retrieval", "T->IT", "en", (sha[0], sha[1], sha[2]), texts)
        samples.append(sample.model_copy(update={"relevance": 2 if number % 5 == 0 else 5}))
    bad = {sample.id for sample in samples if sample.relevance == 2}
    good = {sample.id for sample in samples[1:60:5]}  # what the teacher does not see
    folder = write_release(tmp_path / "scored", samples, images)
    scored = open_dataset(str(folder))
    audits = Audits(scored, store, Queues(store.database, scored.version))
    audit = audits.start(design(150), LEAD)
    review(audits, store, scored, audit, "noor", (bad | good).__contains__)
    figures = audits.figures(audit.audit_id)
    assert figures.powered is not None and figures.powered.width_ratio < 0.8
    truth = len(bad | good) / 400
    assert figures.powered.low <= truth <= figures.powered.high


def test_facets_are_reported_of_what_the_reasons_say(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    audit = audits.start(design(20), LEAD)
    ids = drawn_ids(audits, audit, store, version)
    for number, item_id in enumerate(ids):
        facets = {"language": "reject"} if number < 5 else {}
        verdict = "reject" if number < 5 else "accept"
        store.append(vote(version, audit, item_id, "noor", verdict=verdict, facets=facets))
    rates = {facet.facet: facet.num_defects for facet in audits.figures(audit.audit_id).facets}
    assert rates == {"fidelity": 0, "alignment": 0, "negative": 0, "language": 5, "safety": 0}


def test_closing_keeps_the_report_and_ends_the_queue(
    audits: Audits, store: ReviewStore, version: VersionDataset
) -> None:
    audit = audits.start(design(20), LEAD)
    with pytest.raises(AuditError, match="no row is decided yet"):
        audits.close(audit.audit_id, LEAD)
    with pytest.raises(AuditError, match="not closed"):
        audits.report(audit.audit_id)
    review(audits, store, version, audit, "noor", lambda _: False)
    with pytest.raises(AuditError, match="only a lead"):
        audits.close(audit.audit_id, Person("noor"))
    report = audits.close(audit.audit_id, LEAD)
    assert audits.report(audit.audit_id) == report and report.version == "0.3.0"
    assert "noor" not in report.model_dump_json()
    with pytest.raises(AuditError, match="closed already"):
        audits.close(audit.audit_id, LEAD)
    with pytest.raises(QueueError, match="closed"):
        Queues(store.database, version.version).claim(audit.queue_id, Person("ben"))
    # What is decided later elsewhere does not change a report.
    ids = drawn_ids(audits, audit, store, version)
    store.append(vote(version, audit, ids[0], "noor", verdict="reject"))
    assert audits.figures(audit.audit_id).num_defects == 0


def test_only_a_lead_starts_an_audit_and_unknown_ones_are_named_so(audits: Audits) -> None:
    with pytest.raises(AuditError, match="only a lead"):
        audits.start(design(), Person("noor"))
    with pytest.raises(AuditError, match=r"no such audit in version 0\.3\.0"):
        audits.figures("f" * 5_000)
    assert audits.all() == []
