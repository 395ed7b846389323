"""`builder reparse`: parsing and checks once more over the replies in the ledger."""

from pathlib import Path
from typing import Annotated

import typer


def reparse(
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Configuration with other checks; same plan otherwise."
        ),
    ] = None,
) -> None:
    """Parse and check every reply again, without one new request.

    For a new version of the parser or the checks: replies that were paid for are
    read anew, and samples kept or dropped as the rules are now. They are found by
    their job, so prompt templates may have changed since.
    """
    from rich.console import Console

    from builder.config import load_config
    from builder.generate.reparse import run_reparse
    from builder.generate.summary import print_summary
    from builder.workspace import open_workspace

    console = Console(stderr=True)
    opened = open_workspace(workspace)
    summary = run_reparse(opened, load_config(config or opened.config_path), console)
    print_summary(summary, console)


def register(app: typer.Typer) -> None:
    app.command()(reparse)
