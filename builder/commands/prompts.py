"""`builder prompts`: read what the teacher and the judge are asked."""

from typing import Annotated

import typer

_COLUMNS = ("cell", "modality", "characters", "prompt hash")


def list_cells() -> None:
    """List the ten prompts with their length and hash.

    Every row's provenance names the hash; it changes with a template, a shared
    part or the reply format.
    """
    from rich.console import Console
    from rich.table import Column, Table

    from builder.prompts.specimen import specimen
    from schemas.vocabulary import CELLS

    table = Table(*(Column(name, no_wrap=True) for name in _COLUMNS))
    for cell in CELLS:
        prompt = specimen(cell, "en")
        table.add_row(
            cell.name,
            cell.modality,
            f"{len(prompt.system) + len(prompt.user):,}",
            prompt.hash[:12],
        )
    Console().print(table)


def show(
    cell: Annotated[
        str, typer.Argument(metavar="CELL", help="A cell of `prompts list`, or `judge`.")
    ],
    language: Annotated[
        str, typer.Option("--language", "-l", help="Code of one of the 93 languages.")
    ] = "fr",
) -> None:
    """Print one prompt as it is sent: the static system message, then a job's parameters.

    The images follow the parameters, each right after a line that names its role.
    """
    from builder.prompts.specimen import UnknownCell, judge_specimen, specimen
    from schemas.vocabulary import CELL_BY_NAME, LANGUAGES

    if language not in LANGUAGES:
        raise UnknownCell(f'language "{language}" is not one of the 93. Use a code such as fr.')
    if cell != "judge" and cell not in CELL_BY_NAME:
        known = ", ".join([*CELL_BY_NAME, "judge"])
        raise UnknownCell(f'no prompt "{cell}". Choose one of: {known}.')
    prompt = judge_specimen(language) if cell == "judge" else specimen(CELL_BY_NAME[cell], language)
    images = "\n".join(f"{label} [image]" for label in prompt.image_labels)
    typer.echo(
        f"# prompt hash {prompt.hash}\n\n{prompt.system}\n\n----- user -----\n\n"
        f"{prompt.user}\n\n{images}"
    )


def register(app: typer.Typer) -> None:
    prompts = typer.Typer(help="Read the prompts of the ten cells and of the judge.")
    prompts.command("list")(list_cells)
    prompts.command("show")(show)
    app.add_typer(prompts, name="prompts")
