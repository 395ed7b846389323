"""Whose a workspace is: plans of other configurations and of earlier programs are told apart."""

from collections.abc import Callable

import pytest
from rich.console import Console

from builder.generate.ledger import Ledger, LedgerError
from builder.generate.reparse import run_reparse
from builder.workspace import Workspace
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]


def test_a_workspace_whose_jobs_an_earlier_version_planned_is_refused_and_left_as_it_is(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    build(workspace, make_config(24))
    before = kept_rows(workspace)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute("DELETE FROM meta WHERE name = 'plan_version'")
    with pytest.raises(LedgerError, match=r"by an earlier version.*builder release.*new workspace"):
        build(workspace, make_config(24))
    with pytest.raises(LedgerError, match="by an earlier version"):
        run_reparse(workspace, make_config(24), Console(quiet=True))
    assert server.num_requests == 24
    assert kept_rows(workspace) == before
