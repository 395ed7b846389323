"""`builder plan`: what would be requested and what it would cost, before anything is sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from builder.api import BuildPlan

_LANGUAGES_SHOWN = 14
_FEW_TOKENS = 100_000
_BOLD_ROLES = ("teacher", "teachers", "judge", "both")


def plan(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="YAML configuration; the workspace's own if not given."
        ),
    ] = None,
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

    from builder import api

    found = api.plan(
        config,
        workspace,
        models=[name.strip() for name in models.split(",")],
        drop_share=drop_share,
    )
    console = Console()
    name, num_languages = found.config.name, len(found.by_language())
    what = f"{name}: {found.config.num_samples:,} samples in {num_languages} languages"
    console.print(f"[bold]{what}[/bold]", highlight=False)
    if found.num_tried:
        console.print(
            f"{found.num_tried:,} jobs are done in {workspace}; {found.num_jobs:,} are still "
            "missing."
        )
    _print_cells(console, found)
    _print_languages(console, found, all_languages)
    _print_prices(console, found)
    width, height = found.image_size
    size = (
        f"{width:.0f} x {height:.0f} px on average"
        if found.num_images
        else "none yet, a size is assumed"
    )
    console.print(
        f"images: {found.num_images:,} ({size}); sent at most {found.config.images.max_side_px} px "
        f"per side. {drop_share:.0%} of replies expected to be dropped. Nothing was sent.",
        highlight=False,
    )
    for warning in found.warnings:
        console.print(f"warning: {warning}", highlight=False, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    app.command()(plan)


def _print_cells(console: "Console", found: "BuildPlan") -> None:
    from rich.table import Table

    table = Table(title="Jobs by cell", title_justify="left")
    table.add_column("task type")
    table.add_column("modality")
    table.add_column("jobs", justify="right")
    table.add_column("share", justify="right")
    total = max(1, found.num_jobs)
    for (task_type, modality), jobs in found.by_cell().items():
        table.add_row(task_type, modality, f"{jobs:,}", f"{jobs / total:.1%}")
    table.add_section()
    table.add_row("all", "", f"{found.num_jobs:,}", "")
    console.print(table)


def _print_languages(console: "Console", found: "BuildPlan", all_languages: bool) -> None:
    from rich.table import Table

    from schemas.vocabulary import LANGUAGES

    table = Table(title="Jobs by language", title_justify="left")
    table.add_column("language")
    table.add_column("jobs", justify="right")
    table.add_column("share", justify="right")
    total = max(1, found.num_jobs)
    jobs = list(found.by_language().items())
    num_shown = len(jobs) if all_languages else _LANGUAGES_SHOWN
    for code, num in jobs[:num_shown]:
        table.add_row(f"{LANGUAGES[code].name} ({code})", f"{num:,}", f"{num / total:.2%}")
    rest = [num for _, num in jobs[num_shown:]]
    if rest:
        fewest, most = min(rest), max(rest)
        spread = f"{fewest:,}" if fewest == most else f"{fewest:,}–{most:,}"
        table.add_section()
        table.add_row(
            f"{len(rest)} more, {spread} each", f"{sum(rest):,}", f"{sum(rest) / total:.2%}"
        )
    console.print(table)


def _print_prices(console: "Console", found: "BuildPlan") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Tokens and price, estimated", title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in ("requests", "tokens in", "tokens out", "US $", "batch US $"):
        table.add_column(name, justify="right")
    for price in found.prices:
        figures, model = price.estimate, escape(price.estimate.model)
        names = {"judge": f"judge: {model}", "both": "both", "teachers": "all teachers"}
        name = names.get(price.role, model)
        table.add_row(
            f"[bold]{name}[/bold]" if price.role in _BOLD_ROLES else name,
            f"{figures.num_calls:,}",
            _tokens(figures.input_tokens),
            _tokens(figures.output_tokens),
            "unknown" if figures.usd is None else _usd(figures.usd),
            "" if figures.batch_usd is None else _usd(figures.batch_usd),
        )
    console.print(table)


def _tokens(count: int) -> str:
    return f"{count / 1e6:,.1f} M" if count >= _FEW_TOKENS else f"{count:,}"


def _usd(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 0.005 or not amount else "< 0.01"
