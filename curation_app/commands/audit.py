"""`audit`: plan, start, follow and close an audit of a version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from curation_app.commands.options import DatasetOption, StoreOption, find_dataset, find_store
from curation_app.work.people import Person, checked_name
from schemas.audit import AuditDesign
from schemas.errors import PolysceneError

if TYPE_CHECKING:
    from curation_app.work.audits import Audit, Audits

audit = typer.Typer(
    help="How bad is a version? Draw rows at random, have them reviewed, report the defect rate "
    "with an interval. Name one purpose: --num (look at so many rows), --half-width (measure so "
    "precisely), or --good-rate with --bad-rate (accept or reject).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Strata = Literal["none", "language", "task_type", "modality", "language_modality"]
NumOption = Annotated[int | None, typer.Option(min=1, help="Look at so many rows.")]
HalfWidthOption = Annotated[
    float | None,
    typer.Option(help="Half the width of the interval to reach: 0.02 for ±2 points."),
]
ExpectedOption = Annotated[
    float, typer.Option(help="With --half-width: the defect rate you expect.")
]
GoodOption = Annotated[
    float | None,
    typer.Option(help="Accept or reject: a rate that is good enough, such as 0.02."),
]
BadOption = Annotated[
    float | None, typer.Option(help="Accept or reject: a rate that is too bad, such as 0.05.")
]
AlphaOption = Annotated[
    float, typer.Option(help="Accept or reject: how often a good version may be rejected.")
]
BetaOption = Annotated[
    float, typer.Option(help="Accept or reject: how often a bad version may be accepted.")
]
StrataOption = Annotated[
    Strata, typer.Option(help="Draw from each of these apart, and report each.")
]
FloorOption = Annotated[
    int,
    typer.Option(min=0, help="Rows per stratum at least; 20 say something about a stratum alone."),
]
LanguageOption = Annotated[str | None, typer.Option(help="Only rows of this language.")]
TaskOption = Annotated[str | None, typer.Option(help="Only rows of this task type.")]
ModalityOption = Annotated[
    str | None, typer.Option(help='Only rows of this modality combination, such as "IT->I".')
]
SeedOption = Annotated[
    int, typer.Option(min=0, help="Of the draw: the same seed draws the same rows.")
]
OverlapOption = Annotated[int, typer.Option(min=1, max=50, help="Reviewers per row.")]
OpenOption = Annotated[
    bool, typer.Option("--open", help="Show scores and others' verdicts before the verdict.")
]
NumSeedsOption = Annotated[
    int,
    typer.Option(
        min=0, help="Defects to plant among the rows; they tell how many real ones are missed."
    ),
]
TitleOption = Annotated[str, typer.Option(help="Name of the audit and its queue.")]
ByOption = Annotated[str, typer.Option(help="Lead who does it; the audit carries the name.")]
AuditArgument = Annotated[str, typer.Argument(metavar="AUDIT", help="Id, as `status` lists it.")]


@audit.command()
def plan(
    dataset: DatasetOption,
    num: NumOption = None,
    half_width: HalfWidthOption = None,
    expected_rate: ExpectedOption = 0.05,
    good_rate: GoodOption = None,
    bad_rate: BadOption = None,
    alpha: AlphaOption = 0.05,
    beta: BetaOption = 0.10,
    strata: StrataOption = "none",
    min_per_stratum: FloorOption = 2,
    language: LanguageOption = None,
    task: TaskOption = None,
    modality: ModalityOption = None,
    seed: SeedOption = 0,
    overlap: OverlapOption = 1,
    is_open: OpenOption = False,
    num_seeds: NumSeedsOption = 0,
) -> None:
    """Say what an audit would take and what it would tell; nothing is stored."""
    from curation_app.data.version import open_dataset
    from curation_app.work.audit_plan import find_population, make_plan
    from curation_app.work.audit_words import describe_plan, describe_population, describe_purpose

    purpose = _purpose(num, half_width, expected_rate, good_rate, bad_rate, alpha, beta)
    population = {"language": language, "task_type": task, "modality": modality}
    design = _design(
        "Plan", purpose, population, strata, min_per_stratum, seed, overlap, is_open, num_seeds
    )
    version = open_dataset(find_dataset(dataset))
    found = make_plan(design, find_population(version, design))
    where = f"{version.manifest.name} {version.version}, {describe_population(design.population)}"
    print(f"plan: {where}. {describe_purpose(design)}")
    for line in describe_plan(design, found):
        print(line)


@audit.command()
def start(
    dataset: DatasetOption,
    title: TitleOption,
    by: ByOption,
    store: StoreOption = None,
    num: NumOption = None,
    half_width: HalfWidthOption = None,
    expected_rate: ExpectedOption = 0.05,
    good_rate: GoodOption = None,
    bad_rate: BadOption = None,
    alpha: AlphaOption = 0.05,
    beta: BetaOption = 0.10,
    strata: StrataOption = "none",
    min_per_stratum: FloorOption = 2,
    language: LanguageOption = None,
    task: TaskOption = None,
    modality: ModalityOption = None,
    seed: SeedOption = 0,
    overlap: OverlapOption = 1,
    is_open: OpenOption = False,
    num_seeds: NumSeedsOption = 0,
) -> None:
    """Fix the design, draw the rows and open their queue; the same options as `plan`."""
    from curation_app.work.audit_words import describe_plan

    purpose = _purpose(num, half_width, expected_rate, good_rate, bad_rate, alpha, beta)
    population = {"language": language, "task_type": task, "modality": modality}
    design = _design(
        title, purpose, population, strata, min_per_stratum, seed, overlap, is_open, num_seeds
    )
    lead = Person(checked_name(by), "lead")
    with _audits(dataset, store) as audits:
        started = audits.start(design, lead)
    print(f"start: audit {started.audit_id}, queue {started.queue_id}")
    for line in describe_plan(design, started.plan):
        print(line)


@audit.command()
def status(
    dataset: DatasetOption,
    audit_id: Annotated[
        str | None, typer.Argument(metavar="[AUDIT]", help="One audit; without it, all.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Show how far audits are and what they have found so far."""
    with _audits(dataset, store, must_exist=True) as audits:
        chosen = audits.all() if audit_id is None else [audits.get(audit_id)]
        if not chosen:
            print("status: no audits of this version yet; `audit plan` tells what one would take")
        for found in chosen:
            _print_status(audits, found)


@audit.command()
def close(
    audit_id: AuditArgument, dataset: DatasetOption, by: ByOption, store: StoreOption = None
) -> None:
    """End an audit: its queue closes and its report is kept in the store."""
    from curation_app.work.audit_words import describe_decision

    lead = Person(checked_name(by), "lead")
    with _audits(dataset, store, must_exist=True) as audits:
        report = audits.close(audit_id, lead)
    print(f"close: {describe_decision(report.plan, report.figures, is_closed=True)}")


@audit.command("report")
def write(
    audit_id: AuditArgument,
    dataset: DatasetOption,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory for the HTML page and the JSON file.")
    ],
    store: StoreOption = None,
) -> None:
    """Write a closed audit's report: an HTML page that stands alone, and JSON for a release."""
    from curation_app.work.audit_report import write_report

    with _audits(dataset, store, must_exist=True) as audits:
        page, data = write_report(audits.report(audit_id), output)
    print(f"report: {page} and {data.name}")


def register(app: typer.Typer) -> None:
    """Adds `audit` to the command line."""
    app.add_typer(audit, name="audit")


def _purpose(
    num: int | None,
    half_width: float | None,
    expected_rate: float,
    good_rate: float | None,
    bad_rate: float | None,
    alpha: float,
    beta: float,
) -> dict[str, Any]:
    is_acceptance = good_rate is not None or bad_rate is not None
    given = [num is not None, half_width is not None, is_acceptance]
    if sum(given) != 1 or (is_acceptance and None in (good_rate, bad_rate)):
        raise PolysceneError(
            "an audit has one purpose. Give --num 300, or --half-width 0.02, or --good-rate 0.02 "
            "with --bad-rate 0.05."
        )
    if num is not None:
        return {"kind": "sample_size", "num": num}
    if half_width is not None:
        return {"kind": "precision", "half_width": half_width, "expected_rate": expected_rate}
    rates = {"good_rate": good_rate, "bad_rate": bad_rate, "alpha": alpha, "beta": beta}
    return {"kind": "acceptance", **rates}


def _design(
    title: str,
    purpose: dict[str, Any],
    population: dict[str, str | None],
    strata: Strata,
    min_per_stratum: int,
    seed: int,
    overlap: int,
    is_open: bool,
    num_seeds: int,
) -> AuditDesign:
    from curation_app.work.audit_plan import checked_design

    return checked_design(
        {
            "title": title,
            "purpose": purpose,
            "population": population,
            "strata": strata,
            "min_per_stratum": min_per_stratum,
            "seed": seed,
            "overlap": overlap,
            "is_blind": not is_open,
            "num_seeds": num_seeds,
        }
    )


@contextmanager
def _audits(dataset: str, store: Path | None, *, must_exist: bool = False) -> "Iterator[Audits]":
    from curation_app.data.version import open_dataset
    from curation_app.store import ReviewStore
    from curation_app.work.audits import Audits
    from curation_app.work.queues import Queues

    version = open_dataset(find_dataset(dataset))
    with ReviewStore(find_store(store, dataset), must_exist=must_exist) as reviews:
        yield Audits(version, reviews, Queues(reviews.database, version.version))


def _print_status(audits: "Audits", found: "Audit") -> None:
    from curation_app.work.audit_words import describe_decision, describe_figures, percent

    figures = audits.figures(found.audit_id)
    state = "closed" if found.is_closed else "open"
    print(f"{found.audit_id}  {found.design.title}  ({state}, queue {found.queue_id})")
    print(f"  {describe_decision(found.plan, figures, is_closed=found.is_closed)}")
    for name, value in describe_figures(found.design, figures):
        print(f"  {name}: {value}")
    for one in audits.reviewers(found.audit_id):
        said = f"{one.num_votes:,} verdicts, {one.num_defects:,} defects"
        if one.num_seeds_shown:
            said += f", {one.num_seeds_found} of {one.num_seeds_shown} planted ones found"
        if one.sensitivity is not None and one.specificity is not None:
            said += (
                f"; by the others' votes finds {percent(one.sensitivity)} of defects "
                f"and passes {percent(one.specificity)} of sound rows"
            )
        print(f"  {one.name}: {said}")
