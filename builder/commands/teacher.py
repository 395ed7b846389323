"""`builder teacher`: the lexicon teacher, an offline endpoint for the bundled pictograms."""

from pathlib import Path
from typing import Annotated

import typer

_Rate = Annotated[
    float, typer.Option(min=0, max=1, help="Share of replies with this mistake, made on purpose.")
]


def teacher(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8191,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    planted: Annotated[
        Path | None, typer.Option(help="JSON Lines file that lists the mistakes made on purpose.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(help="Answer 401 to requests without this key.")
    ] = None,
    mistakes: Annotated[bool, typer.Option(help="Make mistakes on purpose at all.")] = True,
    wrong_language: _Rate = 0.02,
    broken_json: _Rate = 0.015,
    answer_leak: _Rate = 0.02,
    truncated: _Rate = 0.01,
    wrong_concept: _Rate = 0.015,
    swapped_negative: _Rate = 0.015,
) -> None:
    """Run the lexicon teacher: an OpenAI-compatible endpoint on loopback, without key or model.

    It knows the bundled pictograms and answers with human-written names and
    keywords in 92 languages; it prints its base URL once it listens. Set
    OPENAI_BASE_URL=http://127.0.0.1:8191/v1 and any OPENAI_API_KEY to build against it.
    """
    from builder.lexicon_teacher import MistakeRates, serve
    from schemas.errors import PolysceneError

    try:
        rates = MistakeRates(
            wrong_language, broken_json, answer_leak, truncated, wrong_concept, swapped_negative
        )
    except ValueError as exc:
        raise PolysceneError(f"{exc}. Lower the rates.") from exc
    try:
        serve(
            host,
            port,
            planted=planted,
            rates=rates if mistakes else MistakeRates.none(),
            api_key=api_key,
            ready=lambda url: print(url, flush=True),
        )
    except OSError as exc:
        raise PolysceneError(
            f"cannot serve on {host}:{port}: {exc.strerror}. Choose another --port."
        ) from exc


def register(app: typer.Typer) -> None:
    app.command()(teacher)
