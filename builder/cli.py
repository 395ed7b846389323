"""`python -m builder`: one command a stage, from images to a published version."""

import logging
import os
from importlib import import_module

import typer

from command_line.app import new_app, run_app
from command_line.environment import set_environment_defaults
from command_line.run import run
from schemas.errors import PolysceneError

SCRIPT = "polyscene-build"

#: Modules of `builder.commands`, in the order their commands appear in `--help`.
_COMMANDS = (
    "images",
    "plan",
    "prompts",
    "build",
    "samples",
    "sql",
    "reparse",
    "score",
    "merge",
    "select",
    "decontaminate",
    "release",
    "publish",
    "versions",
    "rebase",
    "prune",
    "export",
    "hub",
    "teacher",
    "demo",
)


def make_app() -> typer.Typer:
    """The command line with every command registered."""
    app = new_app(
        "builder",
        "Makes and publishes versions of a multilingual, multimodal dataset: "
        "images → plan → build → release → publish.",
    )
    for name in _COMMANDS:
        import_module(f"builder.commands.{name}").register(app)
    return app


def main() -> None:
    """Entry point: whatever a user can meet is one line on stderr and an exit code."""
    set_environment_defaults()
    run(_main, stopped="Stopped. What was done is kept; run the same command again to go on.")


def _main() -> None:
    level = os.environ.get("POLYSCENE_LOG", "WARNING").upper()
    if level not in logging.getLevelNamesMapping():
        raise PolysceneError(f'POLYSCENE_LOG: no level "{level}". Set it to INFO or DEBUG.')
    logging.basicConfig(level=level)
    run_app(make_app(), SCRIPT)
