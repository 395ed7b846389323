"""The commands as a user types them: dry run, build, reparse, and one line for every mistake."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from builder.cli import make_app
from builder.config import ConfigError, save_config
from builder.ledger.ledger import Ledger, LedgerError
from builder.workspace import Workspace
from tests.generate.conftest import build, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]


def run(*arguments: object) -> str:
    """Runs a command; errors of ours pass through as `builder.cli.main` would see them."""
    done = CliRunner().invoke(make_app(), [str(word) for word in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_dry_run_sends_nothing_and_says_how_much_would_be_asked(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve(), new_workspace()
    save_config(make_config(48), tmp_path / "config.yaml")
    said = run("build", "-c", tmp_path / "config.yaml", "-w", workspace.root, "--dry-run")
    assert "48 jobs would be asked" in said
    assert server.num_requests == 0
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.rounds() == []


def test_build_then_reparse_end_with_counts_that_add_up(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    serve(Faults(rates={"refusal": 0.2}))
    workspace = new_workspace()
    save_config(make_config(48), tmp_path / "config.yaml")
    said = run("build", "-c", tmp_path / "config.yaml", "-w", workspace.root)
    assert "48 kept" in said
    assert "refusal" in said
    assert workspace.config_path.exists()
    assert run("build", "-w", workspace.root).count("48 kept") == 1
    assert "48 kept" in run("reparse", "-w", workspace.root)


def test_another_model_is_another_plan(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    serve()
    workspace = new_workspace()
    save_config(make_config(24), tmp_path / "config.yaml")
    run("build", "-c", tmp_path / "config.yaml", "-w", workspace.root)
    with pytest.raises(LedgerError, match="another configuration"):
        run("build", "-w", workspace.root, "--model", "another")


def test_a_build_without_a_configuration_says_how_to_name_one(new_workspace: NewWorkspace) -> None:
    with pytest.raises(ConfigError, match="--config"):
        run("build", "-w", new_workspace().root)


def test_merge_says_what_to_do_next(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    serve()
    save_config(make_config(130), tmp_path / "config.yaml")
    parts = [new_workspace(f"part{number}") for number in (1, 2)]
    for number, part in enumerate(parts, start=1):
        shard = ("--shard", f"{number}/2")
        run("build", "-c", tmp_path / "config.yaml", "-w", part.root, *shard)
    into = tmp_path / "joined"
    said = run("merge", *(part.root for part in parts), "--into", into)
    assert "130 jobs with an outcome" in said
    assert "builder build --workspace" in " ".join(said.split())
    assert "130 kept" in run("build", "-w", into)


def test_too_little_disk_space_stops_the_build_with_one_line(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace = new_workspace()
    with pytest.raises(LedgerError, match=r"disk space left.*run the same command"):
        build(workspace, make_config(60), free_bytes=lambda _: 1_000_000)
    with Ledger(workspace.ledger_path) as ledger:
        spent = ledger.spent()
        assert 0 < spent.num_replies < 60
        assert spent.num_requests == spent.num_replies == sum(ledger.tried_counts().values())
    build(workspace, make_config(60))
