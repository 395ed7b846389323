"""`builder demo`: the whole loop on the bundled pictograms."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    root: Annotated[Path, typer.Option(help="Directory for everything the demo makes.")] = Path(
        "demo"
    ),
    num_samples: Annotated[
        int | None, typer.Option(help="Samples to build instead of the recipe's number.", min=200)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Training steps per arm instead of the default.", min=1)
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start again: first remove what an earlier demo made.")
    ] = False,
) -> None:
    """Run the whole loop offline: images, build, publish, review, publish again, train, measure.

    Starts the lexicon teacher and the embedded Hub on loopback and ends them with
    itself. Finished work is not repeated when it is run again.
    """
    from builder.demo.command import demo_command

    demo_command(root, num_samples=num_samples, steps=steps, fresh=fresh)


def register(app: typer.Typer) -> None:
    app.command()(demo)
