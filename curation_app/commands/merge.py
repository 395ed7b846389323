"""`merge`: the reviews of several stores as one export."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Review stores, or exports in JSON Lines; any number of them."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON Lines file to write.")],
) -> None:
    """Join the reviews of several machines: each event once, in the order they happened.

    Give the result to a release: `python -m builder release --reviews merged.jsonl`.
    """
    from curation_app.store.events import export_events
    from curation_app.work.merge import merge_reviews

    events = merge_reviews(sources)
    export_events(output, iter(events))
    print(f"merge: {len(events):,} events of {len(sources)} sources to {output}")


def register(app: typer.Typer) -> None:
    app.command()(merge)
