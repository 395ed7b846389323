"""`python -m curation_app`: serve the pages, see to people, record, export and count reviews."""

from importlib import import_module

import typer

from command_line.app import new_app, run_app
from command_line.run import run

SCRIPT = "polyscene-review"

#: Modules of `curation_app.commands`, in the order their commands appear in `--help`.
_COMMANDS = ("serve", "people", "record", "queue", "audit", "export", "merge", "stats")


def make_app() -> typer.Typer:
    """The command line with every command registered."""
    app = new_app(
        "curation_app",
        "Review a published version in the browser; keep every verdict for the next one.",
    )
    for name in _COMMANDS:
        import_module(f"curation_app.commands.{name}").register(app)
    return app


def main() -> None:
    """Runs the command line; whatever a user can meet is one line on stderr and an exit code."""
    run(_main, stopped="Stopped. Every verdict that was acknowledged is kept.")


def _main() -> None:
    run_app(make_app(), SCRIPT)
