"""`builder teacher`: the lexicon teacher, an offline endpoint for the bundled pictograms."""

from pathlib import Path
from typing import Annotated

import typer


def teacher(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8191,
    planted: Annotated[
        Path | None, typer.Option(help="JSON Lines file that lists the mistakes made on purpose.")
    ] = None,
) -> None:
    """Run the lexicon teacher: an OpenAI-compatible endpoint on loopback, no key, no model.

    It knows the bundled pictograms and answers with human-written names and
    keywords in 90 languages. Set OPENAI_BASE_URL=http://127.0.0.1:8191/v1 and any
    OPENAI_API_KEY to build against it.
    """
    from builder.lexicon_teacher import serve

    serve(port=port, planted=planted)


def register(app: typer.Typer) -> None:
    app.command()(teacher)
