"""An endpoint that answers and answers, and nothing can be kept, is not paid for long."""

from collections.abc import Callable

import pytest

from builder.endpoint.health import (
    MAX_DROPPED_FIRST,
    MAX_DROPPED_IN_A_ROW,
    EndpointError,
    UnusableReplies,
    UnusableWatch,
)
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]


@pytest.mark.parametrize(
    ("fault", "reason", "remedy"),
    [
        ("refusal", "refusal", "use another model"),
        ("not_json", "not_json", "structured_output"),
        ("empty_choices", "empty_choices", "check address and model"),
        ("not_a_completion", "not_a_completion", "check address and model"),
        ("whitespace", "whitespace_flood", "structured_output"),
        ("truncated", "truncated", "max_completion_tokens"),
    ],
)
def test_a_round_of_nothing_but_unusable_replies_ends_a_build(
    serve: Serve, new_workspace: NewWorkspace, fault: str, reason: str, remedy: str
) -> None:
    faults = Faults(always=fault, mended_by_correction=False)
    server, workspace = serve(faults), new_workspace()
    with pytest.raises(EndpointError, match=rf"last 60 jobs.*{reason} 60.*{remedy}"):
        build(workspace, make_config(60))
    assert server.num_requests <= 120
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {reason: 60}


def test_a_large_build_is_stopped_in_its_first_round(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(always="refusal")), new_workspace()
    with pytest.raises(
        UnusableReplies, match=rf"the last {MAX_DROPPED_IN_A_ROW} jobs were dropped"
    ):
        build(workspace, make_config(300))
    assert MAX_DROPPED_IN_A_ROW <= server.num_requests <= MAX_DROPPED_IN_A_ROW + 32
    with Ledger(workspace.ledger_path) as ledger:
        # replies in flight at the stop are waited for: they are paid
        assert ledger.spent().num_replies == server.num_requests


def test_an_endpoint_whose_replies_turn_unusable_is_stopped_and_what_it_gave_before_is_kept(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    build(workspace, make_config(60))
    server.faults.always = "refusal"
    with pytest.raises(UnusableReplies, match=rf"the last {MAX_DROPPED_IN_A_ROW} jobs"):
        build(workspace, make_config(300))
    assert len(kept_rows(workspace)) == 60
    server.faults.always = None
    assert build(workspace, make_config(100)).num_kept >= 100


def test_few_drops_and_many_with_a_sample_in_between_stop_nothing() -> None:
    watch = UnusableWatch(has_kept=False)
    for _ in range(MAX_DROPPED_FIRST - 1):
        assert watch.drop("vqa IT->T", "refusal") is None
    assert watch.end_round() is None
    watch.keep()
    for _ in range(MAX_DROPPED_IN_A_ROW - 1):
        assert watch.drop("vqa IT->T", "refusal") is None
    assert watch.end_round() is None
    error = watch.drop("vqa IT->T", "not_json")
    assert error is not None
    assert "all of vqa IT->T," in str(error)
    assert f"refusal {MAX_DROPPED_IN_A_ROW - 1}, not_json 1" in str(error)


def test_a_build_that_ends_with_nothing_kept_fails(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(Faults(always="refusal"))
    with pytest.raises(UnusableReplies, match=r"nothing was kept: 4 jobs, all dropped \(refusal 4"):
        build(new_workspace(), make_config(4, max_rounds=1))
