"""Command line of the lexicon teacher: run it, say where it listens."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from builder.lexicon_teacher.mistakes import MistakeRates
from builder.lexicon_teacher.server import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the teacher's options to a parser, such as a subcommand's."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port; 0 picks a free one")
    parser.add_argument("--planted", type=Path, help="JSON lines file for planted mistakes")
    parser.add_argument("--announce", type=Path, help="file to write the base URL to when ready")
    parser.add_argument("--api-key", help="answer 401 to requests without this key")
    parser.add_argument("--no-mistakes", action="store_true", help="make no mistake on purpose")
    for field in fields(MistakeRates):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(
            option, type=float, default=field.default, help="share of replies (default %(default)s)"
        )


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted; the base URL goes to standard output and `--announce`."""
    announce: Path | None = arguments.announce

    def ready(url: str) -> None:
        print(url, flush=True)
        if announce is not None:
            partial = announce.with_name(f"{announce.name}.partial")
            partial.write_text(f"{url}\n", encoding="utf-8")
            partial.replace(announce)

    try:
        chosen = {field.name: getattr(arguments, field.name) for field in fields(MistakeRates)}
        rates = MistakeRates.none() if arguments.no_mistakes else MistakeRates(**chosen)
        serve(
            arguments.host,
            arguments.port,
            planted=arguments.planted,
            rates=rates,
            api_key=arguments.api_key,
            ready=ready,
        )
    except ValueError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except OSError as exc:
        where = f"{arguments.host}:{arguments.port}"
        print(f"error: cannot serve on {where}: {exc}. Choose another --port.", file=sys.stderr)
        return 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse options and serve; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="teacher",
        description="Serve the lexicon teacher: replies composed from CLDR words, not by an LLM.",
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))
