"""`builder reparse`: parse and check the replies in the ledger again."""

from pathlib import Path
from typing import Annotated

import typer


def reparse(
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Directory of the build.")
    ] = Path("workspace"),
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Configuration with other checks but the same plan."),
    ] = None,
) -> None:
    """Parse and check every reply again, without one new request.

    For a new version of the parser or the checks: replies that were paid for are
    parsed again, and samples kept or dropped by the current rules. Replies are found
    by their job, so prompt templates may have changed meanwhile.
    """
    from rich.console import Console

    from builder.config import load_config
    from builder.generate.progress import print_summary
    from builder.generate.reparse import run_reparse
    from builder.workspace import open_workspace

    console = Console(stderr=True)
    opened = open_workspace(workspace)
    summary = run_reparse(opened, load_config(config or opened.config_path), console)
    print_summary(summary, console)


def register(app: typer.Typer) -> None:
    app.command()(reparse)
