"""`queue`: list queues, write out their items, settle and close them, for scripts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from curation_app.commands.options import DatasetOption, StoreOption, find_dataset, find_store
from curation_app.work.people import Person, checked_name

if TYPE_CHECKING:
    from curation_app.work.desk import ReviewDesk

queue = typer.Typer(
    help="Queues on the command line: what is in them, who disagrees. Decisions go in with "
    "`record --queue`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

QueueArgument = Annotated[str, typer.Argument(metavar="QUEUE", help="Id, as `list` shows it.")]


@queue.command("list")
def list_queues(dataset: DatasetOption, store: StoreOption = None) -> None:
    """Show a version's queues and how far each is."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    with _desk(dataset, store) as desk:
        whole_id = Column("id", no_wrap=True, min_width=16)
        table = Table(whole_id, "title", "origin", "items", "decided", "overlap", "blind", "closed")
        for made in desk.queues.all(include_closed=True):
            progress = desk.queues.progress(made.queue_id)
            table.add_row(
                *(made.queue_id, Text(made.title), made.origin),
                *(f"{progress.num_items:,}", f"{progress.num_done:,}", str(made.overlap)),
                *("yes" if made.is_blind else "no", "yes" if made.closed_ts else "no"),
            )
    Console().print(table)


@queue.command()
def items(
    queue_id: QueueArgument,
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON Lines file to write.")],
    store: StoreOption = None,
) -> None:
    """Write what reviewers are shown of each item: the sample's texts, images by their hash.

    An audit's planted defects are among the items and look like any other.
    """
    with _desk(dataset, store) as desk:
        lines = [
            orjson.dumps(shown.model_dump(mode="json"))
            for item in desk.queues.items(desk.queues.get(queue_id).queue_id)
            if (shown := desk.shown_sample(item.item_id)) is not None
        ]
    output.write_bytes(b"".join(line + b"\n" for line in lines))
    print(f"items: {len(lines):,} samples to {output}")


@queue.command()
def settle(
    queue_id: QueueArgument,
    dataset: DatasetOption,
    by: Annotated[str, typer.Option(help="Lead who settles; the queue carries the name.")],
    store: StoreOption = None,
) -> None:
    """Make the queue in which a lead settles another's disagreements."""
    from curation_app.work.adjudication import disagreements, start_adjudication

    lead = Person(checked_name(by), "lead")
    with _desk(dataset, store) as desk:
        if not disagreements(desk.queues, desk.store, desk.queues.get(queue_id).queue_id):
            print(f"settle: the votes of queue {queue_id} agree, so there is nothing to settle")
            return
        made = start_adjudication(desk.queues, desk.store, queue_id, lead=lead)
        num_items = desk.queues.progress(made.queue_id).num_items
    print(f"settle: queue {made.queue_id} with {num_items:,} samples")


@queue.command()
def close(queue_id: QueueArgument, dataset: DatasetOption, store: StoreOption = None) -> None:
    """Give no more of a queue's items to anybody; its votes are kept."""
    with _desk(dataset, store) as desk:
        desk.queues.close(queue_id)
    print(f"close: queue {queue_id}")


@contextmanager
def _desk(dataset: str, store: Path | None) -> "Iterator[ReviewDesk]":
    from curation_app.data.version import open_dataset
    from curation_app.store import ReviewStore
    from curation_app.work.desk import ReviewDesk

    version = open_dataset(find_dataset(dataset))
    with ReviewStore(find_store(store, dataset), must_exist=True) as reviews:
        yield ReviewDesk(version, reviews)


def register(app: typer.Typer) -> None:
    """Adds `queue` to the command line."""
    app.add_typer(queue, name="queue")
