"""An audit in words: the same sentences on the page, on the command line and in the report."""

from schemas.audit import (
    AcceptancePurpose,
    AuditDesign,
    AuditFigures,
    AuditPlan,
    AuditPopulation,
    PrecisionPurpose,
    SeedKind,
)

STRATA_WORDS = {
    "none": "none",
    "language": "language",
    "task_type": "task type",
    "modality": "modality",
    "language_modality": "language × modality",
}
SEED_WORDS: dict[SeedKind, str] = {
    "swapped": "positive and hard negative swapped",
    "other_language": "text of another language",
    "other_query": "query of another row",
}


def percent(share: float) -> str:
    """A share with as many digits as say something: 4.2 %, 0.31 %."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return f"{100 * share:.{1 if share >= 0.01 else 2}f} %"


def between(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def describe_population(population: AuditPopulation) -> str:
    """The words "all rows", or what they have in common."""
    chosen = [value for value in population.model_dump().values() if value is not None]
    return f"rows of {', '.join(chosen)}" if chosen else "all rows"


def describe_purpose(design: AuditDesign) -> str:
    """What a design is for, as one sentence."""
    purpose = design.purpose
    if isinstance(purpose, AcceptancePurpose):
        return (
            f"Accept or reject: {percent(purpose.good_rate)} defects are good, "
            f"{percent(purpose.bad_rate)} are bad."
        )
    if isinstance(purpose, PrecisionPurpose):
        return (
            f"Measure to ±{100 * purpose.half_width:.1f} points, where "
            f"{percent(purpose.expected_rate)} defects are expected."
        )
    return f"Measure on {purpose.num:,} rows."


def describe_plan(design: AuditDesign, plan: AuditPlan) -> list[str]:
    """What a plan takes and gives, one sentence each."""
    population = sum(stratum.population for stratum in plan.strata)
    takes = f"This takes {plan.num_verdicts:,} verdicts: {plan.num_items:,} of {population:,} rows"
    if design.num_seeds:
        takes += f" and {design.num_seeds:,} planted defects"
    lines = [f"{takes}, {design.overlap} reviewer{'s' if design.overlap > 1 else ''} each."]
    if plan.max_defects is not None:
        lines.append(
            f"It accepts with {plan.max_defects:,} defects or fewer. A version of the good rate is "
            f"rejected in {percent(plan.producer_risk or 0)} of audits, one of the bad rate "
            f"accepted in {percent(plan.consumer_risk or 0)}."
        )
    if plan.expected_half_width is not None:
        lines.append(
            f"At {percent(plan.expected_rate)} defects the {_level(design)} interval will be "
            f"about ±{100 * plan.expected_half_width:.1f} points."
        )
    if len(plan.strata) > 1:
        nums = [stratum.num for stratum in plan.strata]
        what = STRATA_WORDS[design.strata]
        if plan.max_defects is not None:
            lines.append(f"{len(nums)} strata by {what} in the report; the draw is over all rows.")
        else:
            lines.append(f"{len(nums)} strata by {what}, {min(nums)} to {max(nums)} rows each.")
            if min(nums) < 20:
                lines.append("Strata with fewer than 20 rows say little alone: do not rank them.")
    return lines


def describe_decision(plan: AuditPlan, figures: AuditFigures, *, is_closed: bool) -> str:
    """Where an audit stands, or how it ended, as one sentence."""
    seen = f"{figures.num_decided:,} of {figures.num_drawn:,} rows are decided"
    if plan.max_defects is not None:
        defects = "1 defect" if figures.num_defects == 1 else f"{figures.num_defects:,} defects"
        found = f"{defects} found, {plan.max_defects:,} allowed"
        undecided = "Closed without a decision" if is_closed else "Go on"
        words = {"accept": "Accepted", "reject": "Rejected"}.get(figures.decision, undecided)
        return f"{words}: {found}; {seen}."
    if figures.decision == "done":
        return f"Done: {seen}."
    return f"{'Closed early' if is_closed else 'Go on'}: {seen}."


def describe_figures(design: AuditDesign, figures: AuditFigures) -> list[tuple[str, str]]:
    """The main figures as name and value; what is not known is left out."""
    lines: list[tuple[str, str]] = []
    if figures.overall is not None:
        overall = figures.overall
        lines.append(
            (
                "Defect rate",
                f"{percent(overall.rate)}, {_level(design)} interval "
                f"{between(overall.low, overall.high)}",
            )
        )
    if figures.any_time is not None:
        lines.append(("Interval that holds at every look", between(*figures.any_time)))
    if figures.powered is not None:
        powered = figures.powered
        lines.append(
            (
                "With the teacher's scores",
                f"{percent(powered.rate)}, {between(powered.low, powered.high)} "
                f"({percent(1 - powered.width_ratio)} narrower)",
            )
        )
    if figures.num_seeds_decided:
        lines.append(
            (
                "Planted defects found",
                f"{figures.num_seeds_found:,} of {figures.num_seeds_decided:,}",
            )
        )
        corrected = figures.corrected
        lines.append(
            (
                "Corrected for what reviewers miss",
                "too few were found to say"
                if corrected is None
                else f"{percent(corrected.rate)}, {between(corrected.low, corrected.high)}",
            )
        )
    if figures.num_unsettled:
        lines.append(
            ("Reviewers disagree on", f"{figures.num_unsettled:,} rows, counted as defects")
        )
    agreement = figures.agreement
    if agreement is not None:
        alpha = "" if agreement.alpha is None else f", Krippendorff's alpha {agreement.alpha:.2f}"
        lines.append(
            (
                "Agreement",
                f"{percent(agreement.raw)} of pairs{alpha}, Gwet's AC1 {agreement.ac1:.2f} "
                f"({agreement.num_items:,} rows)",
            )
        )
    return lines


def _level(design: AuditDesign) -> str:
    return f"{100 * design.level:g} %"
