"""`builder prompts`: read what the teacher and the judge are asked, and make it one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builder.config import BuildConfig

_COLUMNS = ("cell", "modality", "characters", "prompt hash")
_Directory = Annotated[
    Path | None,
    typer.Option("--dir", "-d", help="Prompts of your own, as `prompts init` makes them."),
]


def list_cells(directory: _Directory = None) -> None:
    """List the ten prompts with their length and hash.

    Every row's provenance names the hash; it changes with a template, a shared
    part or the reply format.
    """
    from rich.console import Console
    from rich.table import Column, Table

    from builder.prompts import templates_of
    from builder.prompts.specimen import specimen
    from schemas.vocabulary import CELLS

    templates = templates_of(_config_with(directory))
    table = Table(*(Column(name, no_wrap=True) for name in _COLUMNS))
    for cell in CELLS:
        prompt = specimen(cell, "en", templates)
        table.add_row(
            cell.name,
            cell.modality,
            f"{len(prompt.system) + len(prompt.user):,}",
            prompt.hash[:12],
        )
    Console().print(table)


def show(
    cell: Annotated[
        str, typer.Argument(metavar="CELL", help="A cell of `prompts list`, judge or judge_choice.")
    ],
    language: Annotated[
        str, typer.Option("--language", "-l", help="Code of one of the 93 languages.")
    ] = "fr",
    directory: _Directory = None,
) -> None:
    """Print one prompt as it is sent: the static system message, then a job's parameters.

    The images follow the parameters, each right after a line that names its role.
    """
    from builder.prompts import templates_of
    from builder.prompts.specimen import UnknownCell, choice_specimen, judge_specimen, specimen
    from schemas.vocabulary import CELL_BY_NAME, LANGUAGES

    if language not in LANGUAGES:
        raise UnknownCell(f'language "{language}" is not one of the 93. Use a code such as fr.')
    others = {"judge": judge_specimen, "judge_choice": choice_specimen}
    if cell not in others and cell not in CELL_BY_NAME:
        known = ", ".join([*CELL_BY_NAME, *others])
        raise UnknownCell(f'no prompt "{cell}". Choose one of: {known}.')
    templates = templates_of(_config_with(directory))
    prompt = (
        others[cell](language, templates)
        if cell in others
        else specimen(CELL_BY_NAME[cell], language, templates)
    )
    images = "\n".join(f"{label} [image]" for label in prompt.image_labels)
    typer.echo(
        f"# prompt hash {prompt.hash}\n\n{prompt.system}\n\n----- user -----\n\n"
        f"{prompt.user}\n\n{images}"
    )


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty directory.")],
) -> None:
    """Copy the built-in templates and task ideas into a directory, to be changed there.

    Name it as `prompts: DIR` in the configuration; its README.md says what each file is.
    """
    from builder.plan.variations import builtin_variations
    from builder.prompts.starting import start_prompts

    names = start_prompts(directory, builtin_variations())
    typer.echo(
        f"{directory}: {len(names)} files; README.md says what each is. Set `prompts: {directory}` "
        "in the configuration, relative to its file."
    )


def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Prompts of your own.")],
) -> None:
    """Render every prompt of a directory over all ten cells, and say what is wrong.

    Names file, line and cell of an unknown variable, a syntax error, an empty
    prompt, and one that lacks the form of the reply, the language or its images.
    """
    from builder.plan.variations import variations_of
    from builder.prompts import PromptError, templates_of
    from builder.prompts.check import check_templates
    from schemas.vocabulary import CELLS

    config = _config_with(directory)
    variations = variations_of(config)
    templates = templates_of(config)
    problems = check_templates(templates)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        places = "one place" if len(problems) == 1 else f"{len(problems)} places"
        raise PromptError(f"{directory}: wrong in {places}. Fix the files; nothing was sent.")
    fewest = min(variations.num_ideas(cell) for cell in CELLS)
    fields = ", ".join(field.name for field in templates.own_fields) or "none"
    typer.echo(
        f"{directory}: all {len(CELLS)} prompts render. At least {fewest:,} task ideas a cell; "
        f"fields of your own: {fields}."
    )


def register(app: typer.Typer) -> None:
    prompts = typer.Typer(help="Read the prompts of the ten cells and of the judge; change them.")
    prompts.command("list")(list_cells)
    prompts.command("show")(show)
    prompts.command("init")(init)
    prompts.command("check")(check)
    app.add_typer(prompts, name="prompts")


def _config_with(directory: Path | None) -> "BuildConfig":
    from builder.config import config_from

    return config_from({} if directory is None else {"prompts": str(directory)})
