"""`python -m builder`: one command a stage, from images to a published version."""

import errno
import logging
import os
import sys
from importlib import import_module

import typer

from schemas.errors import PolysceneError

#: Modules of `builder.commands`, in the order their commands appear in `--help`.
_COMMANDS = (
    "images",
    "plan",
    "prompts",
    "build",
    "reparse",
    "merge",
    "release",
    "publish",
    "versions",
    "export",
    "hub",
    "teacher",
    "demo",
)


def make_app() -> typer.Typer:
    """The command line with every command registered."""
    app = typer.Typer(
        name="builder",
        help="Makes and publishes versions of a multilingual, multimodal dataset: "
        "images → plan → build → release → publish.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    for name in _COMMANDS:
        import_module(f"builder.commands.{name}").register(app)
    return app


def main() -> None:
    """Entry point: a user's mistake or a full disk is one line on stderr and exit code 1."""
    for variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "1")
    logging.basicConfig(level=os.environ.get("POLYSCENE_LOG", "WARNING").upper())
    try:
        make_app()()
    except PolysceneError as exc:
        _fail(str(exc))
    except OSError as exc:
        if exc.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}:
            raise
        where = exc.filename or "the workspace"
        _fail(f"{where}: {exc.strerror}. Free some space or name another place; nothing was lost.")
    except KeyboardInterrupt:
        _fail("Stopped. What was done is kept; run the same command again to go on.", code=130)


def _fail(message: str, code: int = 1) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
