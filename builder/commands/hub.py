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
) -> None:
    """Run a small Hugging Face Hub for this machine. Not for production.

    Accounts come from HUB_TOKENS (JSON: {"token": ["user", "write"]}); without it
    a token is made and printed at the first start. Beyond loopback it starts only
    with tokens of 16 characters or more. Point clients at it with
    HF_ENDPOINT=http://127.0.0.1:8190 and HF_TOKEN.
    """
    from builder.local_hub.server import serve

    serve(root, host=host, port=port)


def register(app: typer.Typer) -> None:
    app.command()(hub)
