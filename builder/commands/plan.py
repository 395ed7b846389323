"""`builder plan`: what would be requested and what it would cost, before anything is sent."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from builder.config import BuildConfig
    from builder.cost.estimate import Estimate
    from builder.plan import Targets

_LANGUAGES_SHOWN = 14


def plan(
    config: Annotated[Path, typer.Option(help="The build's configuration, a YAML file.")],
    workspace: Annotated[
        Path,
        typer.Option(
            "--workspace",
            "-w",
            help="If it exists, its images give the picture size, and only what its ledger "
            "still lacks is planned.",
        ),
    ] = Path("workspace"),
    models: Annotated[
        str, typer.Option(help="More models to price, separated by commas.")
    ] = "gpt-5-mini,gemini-3.8-flash,claude-haiku-5-5",
    drop_share: Annotated[
        float,
        typer.Option(min=0, max=0.9, help="Share of replies expected to be dropped and redone."),
    ] = 0.05,
    all_languages: Annotated[
        bool, typer.Option("--all-languages", help="List every language, not only the largest.")
    ] = False,
) -> None:
    """Print jobs by cell and language, and estimate tokens and price. Sends nothing.

    Works without any image. Token counts are estimates from the prompts and reply schemas as they
    are sent, published image formulas, and replies of a large model in eight scripts; those of
    another model may be a third longer or shorter.
    """
    from rich.console import Console

    from builder.config import load_config
    from builder.plan.shares import targets_of

    settings = load_config(config)
    targets = targets_of(settings)
    console = Console()
    standing = _standing(workspace, settings, targets)
    planned, tried = standing.planned_CL, standing.num_tried
    image_size, num_images = standing.image_size, standing.num_images
    what = (
        f"{settings.name}: {settings.num_samples:,} samples in {len(targets.languages)} languages"
    )
    console.print(f"[bold]{what}[/bold]", highlight=False)
    if tried:
        console.print(
            f"{tried:,} jobs are done in {workspace}; {int(planned.sum()):,} are still missing."
        )
    _print_cells(console, targets, planned)
    _print_languages(console, targets, planned, all_languages)
    names = [settings.teacher.model, *(name.strip() for name in models.split(","))]
    _print_prices(console, settings, targets, standing, drop_share, names)
    width, height = image_size
    size = (
        f"{width:.0f} x {height:.0f} px on average" if num_images else "none yet, a size is assumed"
    )
    console.print(
        f"images: {num_images:,} ({size}); sent at most {settings.images.max_side_px} px per side. "
        f"{drop_share:.0%} of replies expected to be dropped. Nothing was sent.",
        highlight=False,
    )


def register(app: typer.Typer) -> None:
    app.command()(plan)


@dataclass(frozen=True, slots=True)
class _Standing:
    """The state of a workspace.

    Args:
        planned_CL: Jobs still missing.
        to_judge_CL: Samples for the judge: those of the missing jobs, and those it has not seen.
        num_tried: Jobs done.
        image_size: Mean width and height in pixels; zeros without images.
        num_images: Images in the store.
    """

    planned_CL: "NDArray[np.int64]"
    to_judge_CL: "NDArray[np.int64]"
    num_tried: int = 0
    image_size: tuple[float, float] = (0.0, 0.0)
    num_images: int = 0


def _standing(workspace: Path, settings: "BuildConfig", targets: "Targets") -> _Standing:
    import numpy as np

    from builder.images.index import index_images
    from builder.images.store import ImageStore
    from builder.ledger.ledger import JUDGED_BY, Ledger
    from builder.plan.round import jobs_to_plan
    from builder.workspace import open_workspace

    nothing = np.zeros_like(targets.wanted_CL)
    if not (workspace / "workspace.json").exists():
        return _Standing(targets.wanted_CL, targets.wanted_CL)
    opened = open_workspace(workspace)
    size, num_images = (0.0, 0.0), 0
    if opened.images_dir.exists():
        with ImageStore(opened.images_dir) as store:
            index = index_images(store, settings.images.validation_share)
            size, num_images = (index.mean_width, index.mean_height), len(index)
    accepted_CL = tried_CL = unjudged_CL = nothing
    if opened.ledger_path.exists():
        with Ledger(opened.ledger_path) as ledger:
            accepted_CL = targets.counts(ledger.accepted_counts())
            tried_CL = targets.counts(ledger.tried_counts())
            judge = settings.judge.model if settings.judge else None
            unjudged_CL = nothing if ledger.meta(JUDGED_BY) == judge else accepted_CL
    planned_CL = jobs_to_plan(targets, accepted_CL, tried_CL, settings.tolerance)
    to_judge_CL = planned_CL + unjudged_CL
    return _Standing(planned_CL, to_judge_CL, int(tried_CL.sum()), size, num_images)


def _print_cells(console: "Console", targets: "Targets", planned: "NDArray[np.int64]") -> None:
    from rich.table import Table

    table = Table(title="Jobs by cell", title_justify="left")
    table.add_column("task type")
    table.add_column("modality")
    table.add_column("jobs", justify="right")
    table.add_column("share", justify="right")
    total = max(1, int(planned.sum()))
    for cell, jobs in zip(targets.cells, planned.sum(axis=1), strict=True):
        table.add_row(cell.task_type, cell.modality, f"{jobs:,}", f"{jobs / total:.1%}")
    table.add_section()
    table.add_row("all", "", f"{planned.sum():,}", "")
    console.print(table)


def _print_languages(
    console: "Console", targets: "Targets", planned: "NDArray[np.int64]", all_languages: bool
) -> None:
    from rich.table import Table

    from schemas.vocabulary import LANGUAGES

    table = Table(title="Jobs by language", title_justify="left")
    table.add_column("language")
    table.add_column("jobs", justify="right")
    table.add_column("share", justify="right")
    jobs = planned.sum(axis=0)
    total = max(1, int(jobs.sum()))
    order = (-jobs).argsort(kind="stable")
    shown = order if all_languages else order[:_LANGUAGES_SHOWN]
    for number in shown:
        code = targets.languages[number]
        name = f"{LANGUAGES[code].name} ({code})"
        table.add_row(name, f"{jobs[number]:,}", f"{jobs[number] / total:.2%}")
    rest = jobs[order[len(shown) :]]
    if len(rest):
        spread = f"{rest.min():,}" if rest.min() == rest.max() else f"{rest.min():,}–{rest.max():,}"
        table.add_section()
        table.add_row(
            f"{len(rest)} more, {spread} each", f"{rest.sum():,}", f"{rest.sum() / total:.2%}"
        )
    console.print(table)


def _print_prices(
    console: "Console",
    settings: "BuildConfig",
    targets: "Targets",
    standing: _Standing,
    drop_share: float,
    names: list[str],
) -> None:
    from rich.table import Table

    from builder.config import TeacherConfig
    from builder.cost.estimate import estimate, estimate_judge

    table = Table(title="Tokens and price, estimated", title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in ("requests", "tokens in", "tokens out", "US $", "batch US $"):
        table.add_column(name, justify="right")

    def add_row(name: str, found: "Estimate") -> None:
        table.add_row(
            name,
            f"{found.num_calls:,}",
            _tokens(found.input_tokens),
            _tokens(found.output_tokens),
            "unknown" if found.usd is None else f"{found.usd:,.2f}",
            "" if found.batch_usd is None else f"{found.batch_usd:,.2f}",
        )

    for name in dict.fromkeys(name for name in names if name):
        is_own = name == settings.teacher.model
        teacher = settings.teacher if is_own else TeacherConfig(model=name)
        planned_CL, size = standing.planned_CL, standing.image_size
        found = estimate(
            teacher, settings, targets, planned_CL, image_size=size, drop_share=drop_share
        )
        add_row(f"[bold]{name}[/bold]" if is_own else name, found)
        if is_own and settings.judge is not None:
            to_judge_CL = standing.to_judge_CL
            judged = estimate_judge(settings.judge, settings, targets, to_judge_CL, image_size=size)
            add_row(f"[bold]judge: {settings.judge.model}[/bold]", judged)
            add_row("[bold]both[/bold]", found + judged)
    console.print(table)


def _tokens(count: int) -> str:
    return f"{count / 1e6:,.1f} M"
