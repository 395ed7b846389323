"""`stats`: what is in a store."""

from typing import Annotated

import typer

from curation_app.commands.options import StoreOption, find_dataset, find_store


def stats(
    store: StoreOption = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Also say how much of this version is reviewed."),
    ] = None,
) -> None:
    """Count what is in a store: verdicts by reviewer, reasons, and a version's progress."""
    from curation_app.store import ReviewStore
    from curation_app.work.summary import print_stats

    with ReviewStore(find_store(store, dataset), must_exist=True) as reviews:
        print_stats(reviews, None if dataset is None else find_dataset(dataset))


def register(app: typer.Typer) -> None:
    """Adds `stats` to the command line."""
    app.command()(stats)
