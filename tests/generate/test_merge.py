"""Shards on several machines, and outcomes made anew, give what a single build gives."""

from collections.abc import Callable

import pytest
from rich.console import Console

from builder.api.build import parse_shard
from builder.config import ConfigError
from builder.generate.merge import run_merge
from builder.generate.reparse import run_reparse
from builder.ledger.ledger import Ledger, LedgerError
from builder.workspace import Workspace, open_workspace
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

FAULTS = {"not_json": 0.1, "refusal": 0.1, "truncated": 0.1, "500": 0.05}


def test_shards_merged_and_built_on_equal_a_single_build(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve(Faults(rates=FAULTS))
    config = make_config(200)
    single = new_workspace("single")
    build(single, config)
    num_single = server.num_requests

    parts = [new_workspace(f"part{index}") for index in range(3)]
    for index, part in enumerate(parts):
        build(part, config, shard=(index, 3))
    into = single.root.parent / "joined"
    num_jobs = run_merge([part.root for part in parts], into)
    assert num_jobs == 200
    assert run_merge([part.root for part in parts], into) == 200
    joined = open_workspace(into)
    build(joined, config)
    assert kept_rows(joined) == kept_rows(single)
    assert server.num_requests <= 2 * num_single
    with Ledger(joined.ledger_path) as ledger, Ledger(single.ledger_path) as other:
        assert ledger.drop_counts() == other.drop_counts()
        assert ledger.spent().num_replies == other.spent().num_replies


def test_workspaces_of_another_plan_or_round_are_not_merged(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    part, other, whole = new_workspace("part"), new_workspace("other"), new_workspace("whole")
    build(part, make_config(80), shard=(0, 2))
    build(other, make_config(80, seed=3), shard=(1, 2))
    build(whole, make_config(80))
    into = part.root.parent / "joined"
    with pytest.raises(LedgerError, match="of another plan"):
        run_merge([part.root, other.root], into)
    with pytest.raises(LedgerError, match="past its first round"):
        run_merge([whole.root], into)


def test_reparse_makes_the_same_outcomes_without_a_request(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(rates=FAULTS)), new_workspace()
    config = make_config(120)
    first = build(workspace, config)
    before, num_requests = kept_rows(workspace), server.num_requests
    again = run_reparse(workspace, config, Console(quiet=True))
    assert server.num_requests == num_requests
    assert kept_rows(workspace) == before
    assert again.dropped == first.dropped
    assert again.spent == first.spent


def test_reparse_applies_new_checks_to_old_replies(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    config = make_config(60)
    build(workspace, config)
    stricter = config.model_copy(
        update={"checks": config.checks.model_copy(update={"min_scores": {"diversity": 4}})}
    )
    with pytest.raises(LedgerError, match=r"other checks.*reparse --config"):
        build(workspace, stricter)
    summary = run_reparse(workspace, stricter, Console(quiet=True))
    assert summary.dropped == {"low_diversity": 60}
    back = run_reparse(workspace, config, Console(quiet=True))
    assert back.num_kept == 60
    assert server.num_requests == 60


def test_a_shard_is_written_i_of_n_from_one() -> None:
    assert parse_shard(None) is None
    assert parse_shard("1/4") == (0, 4)
    assert parse_shard("4/4") == (3, 4)
    for wrong in ("0/4", "5/4", "a/b", "3", "1/0", "-1/2"):
        with pytest.raises(ConfigError, match="such as 1/4"):
            parse_shard(wrong)
