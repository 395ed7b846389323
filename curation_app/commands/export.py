"""`export`: the review events as a file."""

from pathlib import Path
from typing import Annotated

import typer

from curation_app.commands.options import StoreOption, find_store


def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON Lines file to write.")],
    store: StoreOption = None,
) -> None:
    """Write every review event as JSON Lines, the form a release takes in."""
    from curation_app.store import ReviewStore

    with ReviewStore(find_store(store), must_exist=True) as reviews:
        num_events = reviews.export(output)
    print(f"export: {num_events} events to {output}")


def register(app: typer.Typer) -> None:
    """Adds `export` to the command line."""
    app.command()(export)
