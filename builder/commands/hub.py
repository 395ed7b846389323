"""`builder hub`: the embedded Hub."""

from pathlib import Path
from typing import Annotated

import typer


def hub(
    root: Annotated[Path, typer.Option(help="Directory that holds repositories and accounts.")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8190,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback by default.")] = (
        "127.0.0.1"
    ),
    user: Annotated[
        str | None,
        typer.Option(
            help="Make an account of this name if there is none, and print its token once; "
            "repositories are then USER/NAME.",
            show_default="demo, at the first start",
        ),
    ] = None,
) -> None:
    """Run a small Hugging Face Hub for this machine. Not for production.

    Prints what to set: HF_ENDPOINT, and HF_TOKEN when an account is made. Several accounts
    come from HUB_TOKENS (JSON: {"token": ["user", "write"]}). Beyond loopback it starts only
    with HUB_TOKENS of 16 characters or more.
    """
    from builder.local_hub.server import serve

    serve(root, host=host, port=port, user=user)


def register(app: typer.Typer) -> None:
    app.command()(hub)
