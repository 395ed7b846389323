"""Makes the three command lines alike: version, completion, help as written, errors of usage."""

import inspect
import sys
from typing import Annotated, Any

import typer
from pydantic_core import ValidationError
from rich.markup import escape
from typer.core import TyperGroup
from typer.exceptions import TyperException

from command_line.plain_words import what_is_wrong
from command_line.version import program_version
from schemas.errors import PolysceneError

_COMPLETION_OPTIONS = {"--install-completion", "--show-completion"}


class UsageError(PolysceneError):
    """A command line names an option, command or value that does not exist, or lacks one."""

    exit_code = 2


def new_app(name: str, help: str) -> typer.Typer:
    """A command line without commands: with `--version`, completion, and help as written."""
    app = typer.Typer(
        name=name,
        cls=_PlainHelpGroup,
        help=help,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )

    def print_version(is_asked: bool) -> None:
        if is_asked:
            print(f"{name} {program_version()}")
            raise typer.Exit

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option(
                "--version", callback=print_version, is_eager=True, help="Print the version."
            ),
        ] = False,
    ) -> None:
        pass

    return app


def run_app(app: typer.Typer, script: str) -> None:
    """Runs a command line on `sys.argv`.

    Args:
        app: With its commands.
        script: Name of the console script. Shells complete its words, not those of `python -m`.

    Raises:
        UsageError: The words are not a command of this program.
        SystemExit: A command ended with a code of its own, or was stopped (130).
    """
    command = typer.main.get_command(app)
    asks_for_completion = not _COMPLETION_OPTIONS.isdisjoint(sys.argv[1:])
    try:
        code = command.main(
            prog_name=script if asks_for_completion else None, standalone_mode=False
        )
    except TyperException as exc:
        message = _usage_message(exc)
        if not message:  # the help that an incomplete command gets is printed already
            raise SystemExit(UsageError.exit_code) from None
        raise UsageError(message) from exc
    except typer.Abort:
        print("Cancelled.", file=sys.stderr)
        raise SystemExit(1) from None
    if isinstance(code, int) and code:
        raise SystemExit(code)


def _usage_message(exc: TyperException) -> str:
    """What is wrong with a command line, on one line, and what was perhaps meant."""
    possibilities = sorted(getattr(exc, "possibilities", None) or ())
    if isinstance(exc.__cause__, ValidationError):
        exc.message = what_is_wrong(exc.__cause__.errors(include_url=False)[0])
    message = exc.message if possibilities else exc.format_message()
    message = " ".join(message.split())
    if not message:
        return ""
    message = message.rstrip(".?") + ("?" if message.endswith("?") else ".")
    if possibilities:
        message += f" Did you mean {' or '.join(possibilities)}?"
    context: Any = getattr(exc, "ctx", None)
    return f"{message} See `{context.command_path} --help`." if context else message


class _PlainHelpGroup(TyperGroup):
    """Shows help texts as they are written: square brackets are text, not markup.

    Rich would take `[default: 8]` for a style and leave it out.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _show_as_written(self)


def _show_as_written(command: Any) -> None:
    for name in ("help", "short_help", "epilog"):
        text = getattr(command, name, None)
        if text:
            setattr(command, name, escape(_unwrapped(text)))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = escape(parameter.help)
    for inner in getattr(command, "commands", {}).values():
        _show_as_written(inner)


def _unwrapped(text: str) -> str:
    """A docstring whose paragraphs are one line each, so that the terminal breaks them."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
