"""What the three command lines share: help as written, version, completion, errors of usage."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from command_line.app import UsageError, new_app, run_app

ROOT = Path(__file__).parents[2]
SCRIPTS = {
    "builder": "polyscene-build",
    "curation_app": "polyscene-review",
    "trainer": "polyscene-train",
}
_BOX = re.compile(r"[│╭╮╰╯─]")


def app_of(package: str) -> typer.Typer:
    cli = import_module(f"{package}.cli")
    return cli.app if package == "trainer" else cli.make_app()


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that lead to it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


def flat(text: str) -> str:
    return " ".join(_BOX.sub(" ", text).split())


def written(text: str | None) -> str:
    """A help text as its author wrote it: without the marks that keep Rich from reading it."""
    return flat((text or "").replace("\\[", "["))


def help_of(app: typer.Typer, *words: str, columns: int = 2_000) -> str:
    environment = {"COLUMNS": str(columns), "TERMINAL_WIDTH": str(columns)}
    done = CliRunner().invoke(app, [*words, "--help"], env=environment)
    assert done.exit_code == 0, done.output
    return flat(done.output)


@pytest.mark.parametrize("package", SCRIPTS)
def test_help_loses_no_word(package: str) -> None:
    app = app_of(package)
    for words, command in commands(typer.main.get_command(app)):
        shown = help_of(app, *words)
        assert written(command.help) in shown, words
        for parameter in command.params:
            if getattr(parameter, "hidden", False):
                continue
            text = written(getattr(parameter, "help", ""))
            assert text in shown, (words, parameter.name)
            if isinstance(getattr(parameter, "show_default", None), str):
                assert f"[default: ({parameter.show_default})]" in shown, (words, parameter.name)


@pytest.mark.parametrize("package", SCRIPTS)
def test_no_help_is_written_in_markup(package: str) -> None:
    """Brackets are text, so `[bold]` would be shown; and a default has a field of its own."""
    for words, command in commands(typer.main.get_command(app_of(package))):
        texts = [command.help, *(getattr(each, "help", "") for each in command.params)]
        for text in texts:
            assert not re.search(r"\[/?(bold|dim|red|default)", written(text)), (words, text)
            assert not re.search(r":\w+:", written(text)), (words, text)


@pytest.mark.parametrize(
    "text",
    [
        "Rank [default: 8].",
        "One of [red] [/] [bold]x[/bold] [link=x].",
        "A list [8], [a, b] or [x.y].",
        "Ends with a backslash \\",
        "[WORKSPACE] first.",
    ],
)
def test_brackets_in_help_are_text(text: str) -> None:
    app = new_app("tool", "Does it. [default: all]")

    @app.command(help=text)
    def work(option: str = typer.Option("x", help=text)) -> None: ...

    @app.command(help="Other.")
    def other() -> None: ...

    assert help_of(app, "work").count(flat(text)) == 2
    assert "Does it. [default: all]" in help_of(app)


def test_paragraphs_of_help_are_broken_by_the_terminal_alone() -> None:
    app = new_app("tool", "Does it.")

    @app.command()
    def work() -> None:
        """Do the first thing.

        A second paragraph that is
        written on two lines.
        """

    @app.command()
    def other() -> None: ...

    done = CliRunner().invoke(app, ["work", "--help"], env={"COLUMNS": "200"})
    assert " A second paragraph that is written on two lines." in done.output


@pytest.mark.parametrize("package", SCRIPTS)
def test_every_program_tells_its_version(package: str) -> None:
    done = CliRunner().invoke(app_of(package), ["--version"])
    assert done.exit_code == 0
    assert re.fullmatch(rf"{package} \d+\.\d+\.\d+\n", done.output)


@pytest.mark.parametrize(
    ("package", "words", "said"),
    [
        ("builder", "publsh", "'publsh'. Did you mean 'publish'"),
        ("builder", "publish a/b --verison 1", "--verison. Did you mean --version?"),
        ("builder", "images add x --licnse y", "--licnse. Did you mean --licen"),
        ("builder", "export x --format mme", "'--format': 'mme' is not one of 'mme5'"),
        ("builder", "publish a/b --attempts x", "'--attempts': must be a whole number."),
        ("builder", "publish a/b --attempts 0", "'--attempts': must be 1 or more."),
        ("builder", "publish", "Missing argument 'repo_id'."),
        ("curation_app", "audit pln", "'pln'. Did you mean 'plan'?"),
        ("trainer", "train --output x --tune lra", "'lra' is not one of 'heads', 'lora', 'full'."),
        ("trainer", "train --output x --learning-rate y", "'--learning-rate': must be a number."),
    ],
)
def test_a_mistyped_command_line_is_one_line_that_says_what_was_meant(
    package: str, words: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [package, *words.split()])
    with pytest.raises(UsageError) as caught:
        run_app(app_of(package), SCRIPTS[package])
    message = str(caught.value)
    assert said in message and "\n" not in message
    assert re.search(r"See `.+ --help`\.$", message)
    assert "Input should" not in message and "Value error" not in message
    assert caught.value.exit_code == 2


def test_a_command_that_lacks_its_words_shows_help_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["builder"])
    with pytest.raises(SystemExit) as caught:
        run_app(app_of("builder"), "polyscene-build")
    assert caught.value.code == 2
    assert "Commands" in "".join(capsys.readouterr())


def test_the_code_a_command_ends_with_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app("tool", "Does it.")

    @app.command()
    def work() -> None:
        raise typer.Exit(3)

    @app.command()
    def refuse() -> None:
        raise typer.Abort

    for word, code in (("work", 3), ("refuse", 1)):
        monkeypatch.setattr(sys, "argv", ["tool", word])
        with pytest.raises(SystemExit) as caught:
            run_app(app, "tool")
        assert caught.value.code == code


@pytest.mark.parametrize("package", SCRIPTS)
def test_shells_complete_commands_and_options(package: str) -> None:
    """As bash asks: through the console script that the completion is installed for."""
    script = SCRIPTS[package]
    asked = f"{script} --ver"
    done = subprocess.run(
        [Path(sys.executable).parent / script],
        env={
            **os.environ,
            f"_{script.replace('-', '_').upper()}_COMPLETE": "complete_bash",
            "COMP_WORDS": asked,
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["--version"], done.stderr


def test_completion_is_for_the_script_whatever_the_program_was_started_as() -> None:
    shown = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m builder --show-completion; true'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert shown.rstrip().endswith(" polyscene-build")
    assert "_POLYSCENE_BUILD_COMPLETE=complete_bash" in shown
