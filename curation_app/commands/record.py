"""`record`: scripted decisions."""

from pathlib import Path
from typing import Annotated

import typer

from curation_app.commands.options import DatasetOption, StoreOption, find_dataset, find_store
from curation_app.work.people import checked_name


def record(
    decisions: Annotated[
        Path,
        typer.Argument(
            help="JSON Lines: sample_id with verdict (accept, reject, skip) or edits; "
            "reasons and note as you like."
        ),
    ],
    dataset: DatasetOption,
    reviewer: Annotated[str, typer.Option(help="Name the events carry; say that it is a script.")],
    store: StoreOption = None,
    queue: Annotated[
        str | None,
        typer.Option(
            help="Queue in which the decisions count as votes; in one that settles "
            "disagreements they are final."
        ),
    ] = None,
) -> None:
    """Store scripted decisions, all or none; a second run stores nothing twice."""
    from curation_app.data.version import open_dataset
    from curation_app.store import ReviewStore
    from curation_app.work.desk import ReviewDesk
    from curation_app.work.record import record_decisions

    name, store_file = checked_name(reviewer), find_store(store, dataset)
    version = open_dataset(find_dataset(dataset))
    with ReviewStore(store_file) as reviews:
        desk = ReviewDesk(version, reviews)
        done = record_decisions(decisions, desk, reviewer=name, queue_id=queue)
    print(
        f"record: {done.accepted} accepted, {done.edited} edited, {done.rejected} rejected, "
        f"{done.skipped} skipped ({done.already_stored} of them stored before) in {store_file}"
    )


def register(app: typer.Typer) -> None:
    """Adds `record` to the command line."""
    app.command()(record)
