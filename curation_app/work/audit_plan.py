"""From an audit's design to the rows it draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from curation_app.data.version import VersionDataset
from curation_app.statistics.acceptance import acceptance_plan
from curation_app.statistics.sample_size import expected_half_width, sample_size
from curation_app.statistics.stratified import allocate
from schemas.audit import (
    MAX_AUDIT_ITEMS,
    AcceptancePurpose,
    AuditDesign,
    AuditPlan,
    PrecisionPurpose,
    StrataKey,
    StratumPlan,
    population_problem,
)
from schemas.errors import PolysceneError

_KEYS: dict[StrataKey, tuple[str, ...]] = {
    "none": (),
    "language": ("language",),
    "task_type": ("task_type",),
    "modality": ("modality",),
    "language_modality": ("language", "modality"),
}
_PURPOSES = {"purpose", "sample_size", "precision", "acceptance"}
#: Rate assumed where a design names none, for the width to expect.
DEFAULT_EXPECTED_RATE = 0.05
ALL_ROWS = "all"


class AuditError(PolysceneError):
    """An audit cannot be designed, started, read or closed as asked."""


@dataclass(frozen=True, slots=True)
class DrawnItem:
    """A row that was drawn, with the probability it had."""

    row: int
    stratum: str
    inclusion_prob: float


@dataclass(frozen=True, slots=True)
class Population:
    """The rows an audit speaks of, and the stratum of each.

    Args:
        rows_M: Row numbers, ascending; shape (M,).
        strata_M: Index into `names` of each; shape (M,).
    """

    rows_M: np.ndarray
    strata_M: np.ndarray
    names: tuple[str, ...]

    @property
    def sizes(self) -> list[int]:
        return np.bincount(self.strata_M, minlength=len(self.names)).tolist()


def checked_design(given: Mapping[str, Any]) -> AuditDesign:
    """A design from what a form or a command line gives.

    Raises:
        AuditError: A value is out of bounds; says which.
    """
    try:
        return AuditDesign.model_validate(given)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        names = [str(part) for part in first["loc"] if part not in _PURPOSES]
        field = (names[-1] if names else "design").replace("_", " ")
        raise AuditError(f"{field}: {first['msg']}. Change it; nothing was started.") from exc


def find_population(dataset: VersionDataset, design: AuditDesign) -> Population:
    """The rows of a design's population.

    Raises:
        AuditError: The population is misnamed or has no rows.
    """
    problem = population_problem(design.population)
    if problem:
        raise AuditError(f"population: {problem}. Choose one that the version has.")
    wanted = design.population.model_dump()
    rows_M = np.flatnonzero(dataset.matching(**wanted))
    if not len(rows_M):
        chosen = ", ".join(f"{key} {value}" for key, value in wanted.items() if value is not None)
        raise AuditError(
            f"population: version {dataset.version} has no rows of {chosen}. Choose another."
        )
    names = [ALL_ROWS]
    codes_M = np.zeros(len(rows_M), dtype=np.int64)
    for number, key in enumerate(_KEYS[design.strata]):
        values, all_codes = _codes(dataset, key)
        names = list(values) if number == 0 else [f"{one} {two}" for one in names for two in values]
        codes_M = codes_M * len(values) + all_codes[rows_M]
    used, strata_M = np.unique(codes_M, return_inverse=True)
    by_name = sorted(range(len(used)), key=lambda code: names[used[code]])
    place = np.argsort(by_name)
    return Population(rows_M, place[strata_M], tuple(names[used[code]] for code in by_name))


def make_plan(design: AuditDesign, population: Population) -> AuditPlan:
    """How many rows of each stratum a design draws, and what it may hope for.

    Raises:
        AuditError: The purpose cannot be reached with this population, or
            takes more rows than an audit may have.
    """
    sizes = population.sizes
    if isinstance(design.purpose, AcceptancePurpose):
        plan = _acceptance(design, design.purpose, population)
    else:
        expected = DEFAULT_EXPECTED_RATE
        if isinstance(design.purpose, PrecisionPurpose):
            expected = design.purpose.expected_rate
            total = sample_size(
                sizes,
                design.purpose.half_width,
                expected,
                floor=design.min_per_stratum,
                level=design.level,
            )
        else:
            total = design.purpose.num
        nums = allocate(sizes, total, floor=design.min_per_stratum)
        plan = AuditPlan(
            strata=_strata(population, nums),
            num_items=sum(nums),
            num_verdicts=(sum(nums) + design.num_seeds) * design.overlap,
            expected_rate=expected,
            expected_half_width=expected_half_width(sizes, nums, expected, level=design.level),
        )
    if plan.num_items > MAX_AUDIT_ITEMS:
        raise AuditError(
            f"this design draws {plan.num_items:,} rows; an audit has at most "
            f"{MAX_AUDIT_ITEMS:,}. Ask for a wider interval or fewer rows per stratum."
        )
    return plan


def draw(design: AuditDesign, plan: AuditPlan, population: Population) -> list[DrawnItem]:
    """The rows of a plan, drawn without replacement, in the order in which they are shown.

    Within a stratum each row is as probable as any other. The order is random
    over all strata, so that at every moment those decided are a sample too.
    """
    generator = np.random.default_rng(design.seed)
    if isinstance(design.purpose, AcceptancePurpose):
        chosen = generator.choice(len(population.rows_M), plan.num_items, replace=False)
        prob = plan.num_items / len(population.rows_M)
        drawn = [_item(population, int(index), prob) for index in np.sort(chosen)]
    else:
        drawn = []
        for stratum, planned in enumerate(plan.strata):
            members = np.flatnonzero(population.strata_M == stratum)
            chosen = generator.choice(members, planned.num, replace=False)
            prob = planned.num / planned.population
            drawn += [_item(population, int(index), prob) for index in np.sort(chosen)]
    return [drawn[place] for place in generator.permutation(len(drawn))]


def _acceptance(
    design: AuditDesign, purpose: AcceptancePurpose, population: Population
) -> AuditPlan:
    total = len(population.rows_M)
    try:
        found = acceptance_plan(
            purpose.good_rate,
            purpose.bad_rate,
            alpha=purpose.alpha,
            beta=purpose.beta,
            population=total,
        )
    except ValueError as exc:
        raise AuditError(f"acceptance plan: {exc}.") from exc
    return AuditPlan(
        # Strata are of the report alone: what each will have is up to chance.
        strata=_strata(population, allocate(population.sizes, found.num)),
        num_items=found.num,
        num_verdicts=(found.num + design.num_seeds) * design.overlap,
        expected_rate=purpose.good_rate,
        max_defects=found.max_defects,
        producer_risk=min(max(found.producer_risk, 0.0), 1.0),
        consumer_risk=min(max(found.consumer_risk, 0.0), 1.0),
    )


def _strata(population: Population, nums: Sequence[int]) -> tuple[StratumPlan, ...]:
    return tuple(
        StratumPlan(name=name, population=size, num=num)
        for name, size, num in zip(population.names, population.sizes, nums, strict=True)
    )


def _item(population: Population, index: int, prob: float) -> DrawnItem:
    stratum = population.names[population.strata_M[index]]
    return DrawnItem(int(population.rows_M[index]), stratum, prob)


def _codes(dataset: VersionDataset, key: str) -> tuple[list[str], np.ndarray]:
    """Values of a column and the index of each row's value."""
    values = sorted(dataset.counts(key))
    codes = np.zeros(len(dataset), dtype=np.int64)
    for code, value in enumerate(values):
        codes[dataset.matching(**{key: value})] = code
    return values, codes
