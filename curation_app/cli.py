"""`python -m curation_app`: serve the pages, record scripted decisions, export, count."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.command_line import run
from schemas.errors import PolysceneError

app = typer.Typer(
    name="polyscene-review",
    help="Review a published version in the browser; keep every verdict for the next one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset",
        "-d",
        metavar="DIR|OWNER/NAME[@X.Y.Z]",
        help="A release directory, or a version on the Hub: demo/pictograms@0.1.0; "
        "without a number, the newest.",
    ),
]
StoreOption = Annotated[
    Path, typer.Option("--store", "-s", help="The review store, one file on a local disk.")
]


@app.command()
def serve(
    dataset: DatasetOption,
    store: StoreOption = Path("reviews.sqlite"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 7860,
    reviewer: Annotated[
        str | None,
        typer.Option(help="Name for verdicts of a browser that has given none; else it asks."),
    ] = None,
) -> None:
    """Open the review pages on one version and print their address."""
    from rich.console import Console

    from curation_app.app import create_app, load_gradio
    from curation_app.dataset import open_dataset
    from curation_app.desk import ReviewDesk
    from curation_app.guard import LOOPBACK
    from curation_app.server import bind
    from curation_app.server import serve as serve_pages
    from curation_app.store import ReviewStore

    progress = Console(stderr=True)
    with bind(host, port) as listener, ReviewStore(store) as reviews:
        with progress.status("Opening the version and the pages …"):
            load_gradio()
            desk = ReviewDesk(open_dataset(dataset), reviews)
            pages = create_app(desk, host=host, default_reviewer=_name(reviewer))
        shown_host = f"[{host}]" if ":" in host else host
        url = f"http://{shown_host}:{listener.getsockname()[1]}/"
        manifest, total = desk.dataset.manifest, len(desk.dataset)

        def announce() -> None:
            print(f"Review {manifest.name} {manifest.version} ({total:,} samples) at {url}")
            sys.stdout.flush()
            progress.print(f"Verdicts go to {store}. Stop with Ctrl+C.", style="dim")
            if host not in LOOPBACK:
                progress.print("Whoever reaches this address can review: there is no log-in.")

        serve_pages(pages, listener, announce)


@app.command()
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
    store: StoreOption = Path("reviews.sqlite"),
) -> None:
    """Store scripted decisions, all or none; a second run stores nothing twice."""
    from curation_app.dataset import open_dataset
    from curation_app.record import record_decisions
    from curation_app.store import ReviewStore

    name = _name(reviewer)
    assert name is not None
    version = open_dataset(dataset)
    with ReviewStore(store) as reviews:
        done = record_decisions(decisions, version, reviews, reviewer=name)
    print(
        f"record: {done.accepted} accepted, {done.edited} edited, {done.rejected} rejected, "
        f"{done.skipped} skipped ({done.already_stored} of them stored before) in {store}"
    )


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON Lines file to write.")],
    store: StoreOption = Path("reviews.sqlite"),
) -> None:
    """Write every review event as JSON Lines, the form a release takes in."""
    from curation_app.store import ReviewStore

    with ReviewStore(store, must_exist=True) as reviews:
        num_events = reviews.export(output)
    print(f"export: {num_events} events to {output}")


@app.command()
def stats(
    store: StoreOption = Path("reviews.sqlite"),
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Also say how much of this version is reviewed."),
    ] = None,
) -> None:
    """Count what is in a store: verdicts by reviewer, reasons, and a version's progress."""
    from curation_app.stats import print_stats
    from curation_app.store import ReviewStore

    with ReviewStore(store, must_exist=True) as reviews:
        print_stats(reviews, dataset)


def _name(reviewer: str | None) -> str | None:
    from curation_app.identity import reviewer_name

    if reviewer is None:
        return None
    name = reviewer_name(reviewer)
    if name is None:
        raise PolysceneError(
            f"--reviewer {reviewer!r}: no name. Give 1 to 80 printable characters."
        )
    return name


def main() -> None:
    """Runs the command line; whatever a user can meet is one line on stderr and an exit code."""
    run(app, stopped="Stopped. Every verdict that was acknowledged is kept.")
