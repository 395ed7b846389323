"""`serve`: the review pages on one version."""

import os
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from command_line.address import clickable_url
from curation_app.commands.options import DatasetOption, StoreOption, find_dataset, find_store
from curation_app.work.people import checked_name
from schemas.errors import PolysceneError

if TYPE_CHECKING:
    from curation_app.web.border import Border


class NoAccountsError(PolysceneError):
    """Others could reach the app, and nobody would have to sign in."""


def serve(
    dataset: DatasetOption,
    store: StoreOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 7860,
    reviewer: Annotated[
        str | None,
        typer.Option(
            help="Without accounts: name for verdicts of a browser that has given none; "
            "else it asks."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name the app answers to, such as review.example.org, besides this "
            "machine's own. Repeat for more."
        ),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a proxy whose X-Forwarded-Host, -Proto and -For are "
            "believed. Repeat for more."
        ),
    ] = None,
    root_path: Annotated[
        str, typer.Option(help="Path under which a proxy shows the app, such as /review.")
    ] = "",
    no_accounts: Annotated[
        bool,
        typer.Option("--no-accounts", help="Let whoever reaches the address review, as a lead."),
    ] = False,
) -> None:
    """Open the review pages on one version and print their address."""
    from rich.console import Console

    from curation_app.store import Database, ReviewStore
    from curation_app.store.accounts import Accounts
    from curation_app.web.app import create_app, load_gradio
    from curation_app.web.border import make_border
    from curation_app.web.server import bind
    from curation_app.web.server import serve as serve_pages
    from curation_app.web.sessions import Sessions
    from curation_app.work.workbench import open_workbench

    progress = Console(stderr=True)
    border = make_border(
        host, allowed_hosts=allow_host or (), proxies=proxy or (), root_path=root_path
    )
    default_reviewer = None if reviewer is None else checked_name(reviewer)
    store_file = find_store(store, dataset)
    with (
        bind(host, port) as listener,
        ReviewStore(store_file) as reviews,
        # A connection of its own: asking who is there never waits for a verdict being written.
        closing(Database(store_file)) as own,
        ExitStack() as stack,
    ):
        accounts = Accounts(own)
        has_accounts = accounts.exist()
        if not has_accounts and not no_accounts:
            _check_alone(border, store_file)
        with progress.status("Opening the version and the pages …"):
            load_gradio()
            bench = stack.enter_context(
                open_workbench(find_dataset(dataset), reviews, _cache_dir())
            )
            sessions = Sessions(accounts, default_reviewer=default_reviewer)
            pages = create_app(bench, sessions, border)
        url = clickable_url(host, listener.getsockname()[1], f"{border.root_path}/")
        manifest, total = bench.dataset.manifest, len(bench.dataset)

        def announce() -> None:
            print(f"Review {manifest.name} {manifest.version} ({total:,} samples) at {url}")
            sys.stdout.flush()
            progress.print(f"Verdicts go to {store_file}. Stop with Ctrl+C.", style="dim")
            if reviews.database.is_read_only:
                progress.print("The store can only be read here: no verdict will be taken.")
            if has_accounts:
                progress.print("Everybody signs in with an account.", style="dim")
            elif border.is_exposed:
                progress.print("Whoever reaches this address can review as a lead.")

        serve_pages(pages, listener, announce)


def register(app: typer.Typer) -> None:
    """Adds `serve` to the command line."""
    app.command()(serve)


def _check_alone(border: "Border", store_file: Path) -> None:
    """Refuses to open the app to others while nobody would have to sign in."""
    if not border.is_exposed:
        return
    raise NoAccountsError(
        f"{store_file}: this opens the app to others, and the store has no accounts. Make the "
        "first with `python -m curation_app people add NAME --role lead --store "
        f"{store_file}`, or give --no-accounts to let whoever reaches it review."
    )


def _cache_dir() -> Path:
    """Where what can be made again is kept: search indexes of versions."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polyscene"
