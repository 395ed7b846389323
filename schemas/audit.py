"""Audits: the design that is fixed before the first verdict, and the report at its end.

A report is JSON (`AuditReport.model_dump_json`); a release takes it into its card.
It names no reviewer.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from schemas.errors import PolysceneError
from schemas.review import Facet
from schemas.vocabulary import LANGUAGES, MODALITIES, Modality, TaskType

StrataKey = Literal["none", "language", "task_type", "modality", "language_modality"]
SeedKind = Literal["swapped", "other_language", "other_query"]
#: "done" ends an audit that only measures.
AuditDecision = Literal["accept", "reject", "go on", "done"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**53)]

MAX_AUDIT_ITEMS = 100_000
MAX_SEEDS = 1_000


class AuditReportError(PolysceneError):
    """A file is not an audit report."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AuditPopulation(_Record):
    """Rows of a version that an audit is about; null means any."""

    language: str | None = None
    task_type: TaskType | None = None
    modality: Modality | None = None


class SampleSizePurpose(_Record):
    """Audit a fixed number of rows."""

    kind: Literal["sample_size"] = "sample_size"
    num: Annotated[int, Field(ge=1, le=MAX_AUDIT_ITEMS)]


class PrecisionPurpose(_Record):
    """As many rows as an interval of +-`half_width` needs at the expected rate."""

    kind: Literal["precision"] = "precision"
    half_width: Annotated[float, Field(gt=0, lt=1)]
    expected_rate: Share = 0.05


class AcceptancePurpose(_Record):
    """When a version is accepted or rejected.

    One at `good_rate` is rejected with probability `alpha` at most, one at `bad_rate` is accepted
    with probability `beta` at most.
    """

    kind: Literal["acceptance"] = "acceptance"
    good_rate: Annotated[float, Field(ge=0, lt=1)]
    bad_rate: Annotated[float, Field(gt=0, le=1)]
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.10


Purpose = Annotated[
    SampleSizePurpose | PrecisionPurpose | AcceptancePurpose, Field(discriminator="kind")
]


class AuditDesign(_Record):
    """What an audit will do, fixed before its first verdict.

    Args:
        strata: What the sample is stratified by; rates are reported for each stratum.
        min_per_stratum: Fewest rows drawn from each stratum. An acceptance
            plan draws from the whole population at random and only reports by
            stratum.
        seed: Seed of the draw; the same version, design and seed draw the same rows.
        overlap: Reviewers per row.
        is_blind: Whether reviewers see neither scores nor each other's verdicts.
        num_seeds: Planted defects mixed in, to measure what reviewers miss.
        edits_are_defects: Whether a row that a reviewer edits counts as a
            defect: what was published needed the edit.
        level: Confidence level of every interval, two-sided.
    """

    title: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    population: AuditPopulation = AuditPopulation()
    strata: StrataKey = "none"
    purpose: Purpose
    min_per_stratum: Annotated[int, Field(ge=0, le=10_000)] = 2
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    overlap: Annotated[int, Field(ge=1, le=50)] = 1
    is_blind: bool = True
    num_seeds: Annotated[int, Field(ge=0, le=MAX_SEEDS)] = 0
    edits_are_defects: bool = True
    level: Annotated[float, Field(ge=0.5, lt=1)] = 0.95


class StratumPlan(_Record):
    """One stratum: its rows, and how many of them are drawn."""

    name: str
    population: Count
    num: Count


class AuditPlan(_Record):
    """A design applied to a version: how many rows and verdicts it takes.

    Args:
        num_items: Rows drawn.
        num_verdicts: Decisions needed, including planted defects and overlap.
        expected_half_width: Half width of the overall interval at the expected
            rate; null for an acceptance plan.
        max_defects: Most defects with which an acceptance plan accepts; null
            for other plans.
        producer_risk: Probability that this plan rejects at the good rate.
        consumer_risk: Probability that it accepts at the bad rate.
    """

    strata: tuple[StratumPlan, ...]
    num_items: Count
    num_verdicts: Count
    expected_rate: Share
    expected_half_width: Share | None = None
    max_defects: Count | None = None
    producer_risk: Share | None = None
    consumer_risk: Share | None = None


class Rate(_Record):
    """A defect rate with its interval.

    Args:
        name: Stratum or facet; "" for all rows.
        num: Decided rows it is computed from.
        num_defects: Those of them that have a defect.
    """

    name: str = ""
    num: Count
    num_defects: Count
    rate: Share
    low: Share
    high: Share


class StratumRate(_Record):
    """A stratum; `found` is null until one of its rows is decided."""

    name: str
    population: Count
    num_drawn: Count
    found: Rate | None = None


class FacetRate(Rate):
    """Rate of rows that fail in one facet."""

    facet: Facet


class AgreementFigures(_Record):
    """Agreement on rows with two or more votes; alpha is null if all votes are equal."""

    num_items: Count
    raw: float
    raw_low: float
    raw_high: float
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    ac1: float
    ac1_low: float
    ac1_high: float


class SeedFigures(_Record):
    """Planted defects of one kind: verdicts on them, and how many called them defects."""

    kind: SeedKind
    num_planted: Count
    num_shown: Count
    num_found: Count


class PoweredRate(Rate):
    """The rate estimated with the help of the teacher's scores (prediction-powered inference).

    Args:
        width_ratio: Width of its interval over the width of the one without scores.
        tuning: Weight of the scores, 0 for none.
    """

    width_ratio: float
    tuning: float


class AuditFigures(_Record):
    """What an audit has found so far.

    Args:
        num_decided: Rows with as many verdicts as the design asks, or settled by a lead.
        num_unsettled: Those of them with as many votes for a defect as against;
            they count as defects until a lead settles them.
        overall: Rate of the whole population, strata weighted by their size.
        score_interval: Wilson's interval, for plots; null where strata are weighted.
        any_time: Interval that is valid at every look; only without strata.
        powered: Estimate with the teacher's scores; null where they do not help.
        corrected: Rate corrected for defects that reviewers miss, as measured
            with planted ones.
        num_seeds_decided: Planted defects with all their verdicts.
        num_seeds_found: Those of them that reviewers called defects.
    """

    num_drawn: Count
    num_decided: Count
    num_defects: Count
    num_unsettled: Count
    num_verdicts: Count
    num_reviewers: Count
    decision: AuditDecision
    overall: Rate | None
    score_interval: tuple[Share, Share] | None = None
    any_time: tuple[Share, Share] | None = None
    powered: PoweredRate | None = None
    corrected: Rate | None = None
    strata: tuple[StratumRate, ...]
    facets: tuple[FacetRate, ...]
    agreement: AgreementFigures | None = None
    seeds: tuple[SeedFigures, ...] = ()
    num_seeds_decided: Count = 0
    num_seeds_found: Count = 0


class AuditReport(_Record):
    """A closed audit: its design, its plan and what it found.

    Args:
        dataset: Name in the version's manifest.
        version: Number of the audited version, X.Y.Z.
        started: ISO 8601 with time zone.
        closed: The same.
    """

    format: Literal["polyscene-audit/1"] = "polyscene-audit/1"
    audit_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    dataset: str
    version: str
    started: str
    closed: str
    design: AuditDesign
    plan: AuditPlan
    figures: AuditFigures


def population_problem(population: AuditPopulation) -> str | None:
    """What is wrong with a population, as a clause, or None."""
    if population.language is not None and population.language not in LANGUAGES:
        return f"{population.language[:20]!r} is not a language code of the dataset"
    if population.modality is not None and population.modality not in MODALITIES:
        return f"{population.modality!r} is not a modality combination"
    return None


def read_audit_report(path: Path) -> AuditReport:
    """The report in a JSON file.

    Raises:
        AuditReportError: It cannot be read, or is not a report.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise AuditReportError(
            f"{path}: cannot be read: {exc.strerror}. Name the JSON file of an audit report."
        ) from exc
    return parse_audit_report(content, where=str(path))


def parse_audit_report(content: bytes | str, *, where: str) -> AuditReport:
    """The report in JSON.

    Args:
        content: As `AuditReport.model_dump_json` writes it.
        where: File or store it comes from, for the message.

    Raises:
        AuditReportError: It is not a report.
    """
    try:
        return AuditReport.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise AuditReportError(
            f"{where}: not an audit report: {field}: {first['msg']}. "
            "Write it again with `python -m curation_app audit report`."
        ) from exc
