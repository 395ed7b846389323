"""`builder merge`: the shards of a first round become one workspace."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    workspaces: Annotated[list[Path], typer.Argument(help="Workspaces built with --shard i/N.")],
    into: Annotated[Path, typer.Option(help="Workspace to join them in; made if missing.")],
) -> None:
    """Join workspaces that ran parts of one plan on several machines.

    Afterwards `build` on the joined workspace continues with the next rounds;
    the samples are the same as from a build on a single machine.
    """
    from rich.console import Console

    from builder.generate.merge import run_merge

    num_jobs = run_merge(workspaces, into)
    Console(stderr=True).print(
        f"merge: {len(workspaces)} workspaces joined in {into}, {num_jobs} jobs with an outcome. "
        f"Continue with `python -m builder build --workspace {into}`.",
        highlight=False,
        soft_wrap=True,
    )


def register(app: typer.Typer) -> None:
    app.command()(merge)
