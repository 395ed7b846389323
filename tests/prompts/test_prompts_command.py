"""`builder prompts` shows what is sent."""

import pytest
import typer
from typer.testing import CliRunner

from builder.commands.prompts import register
from builder.prompts.specimen import UnknownCell
from schemas.vocabulary import CELLS


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    register(app)
    return app


def test_list_names_every_cell(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["prompts", "list"])
    assert result.exit_code == 0
    for cell in CELLS:
        assert cell.name in result.output


@pytest.mark.parametrize("name", [*(cell.name for cell in CELLS), "judge", "judge_choice"])
def test_show_prints_static_text_and_parameters(app: typer.Typer, name: str) -> None:
    result = CliRunner().invoke(app, ["prompts", "show", name, "--language", "th"])
    assert result.exit_code == 0
    assert "Language: Thai (th)" in result.output
    assert "prompt hash" in result.output


def test_unknown_names_are_refused_with_the_known_ones(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["prompts", "show", "vqa"])
    assert isinstance(result.exception, UnknownCell)
    assert "vqa_it2t" in str(result.exception)
    result = CliRunner().invoke(app, ["prompts", "show", "judge", "--language", "xx"])
    assert isinstance(result.exception, UnknownCell)
