"""Batch mode: files within the provider's limits, results in any order, never submitted twice."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cost.budget import BudgetReached
from builder.endpoint.health import EndpointError
from builder.generate.merge import run_merge
from builder.ledger.ledger import Ledger, LedgerError
from builder.workspace import Workspace
from tests.generate.batch_server import BatchServer
from tests.generate.conftest import PLANTED_KEY, build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer
from tests.generate.processes import run_child_build, start_process

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

BATCH = {"poll_s": 0.05, "max_requests": 25}
RATES = {"not_json": 0.1, "refusal": 0.1, "batch_500": 0.1, "batch_missing": 0.1}


def serve_batches(serve: Serve, faults: Faults | None = None, num_looks: int = 2) -> BatchServer:
    server = serve(faults, make=lambda faults: BatchServer(faults, num_looks))
    assert isinstance(server, BatchServer)
    return server


def test_a_batch_build_gives_the_rows_of_a_live_one(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    prices = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
    config = make_config(80, batch=BATCH, teacher={"model": "scripted", "prices": prices})
    serve(Faults(rates={name: RATES[name] for name in ("not_json", "refusal")}))
    live = new_workspace("live")
    build(live, config)
    server = serve_batches(serve, Faults(rates={**RATES}))
    batched = new_workspace("batched")
    build(batched, config, batch=True)
    assert kept_rows(batched) == kept_rows(live)
    assert max(server.lines_a_batch) == 25
    assert sum(num - 1 for num in server.answered.values()) == 0
    assert not list((batched.root / "batches").iterdir())


def test_results_with_half_a_surrogate_pair_are_stored_and_judged_like_any_other(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve_batches(serve, Faults(rates={"surrogate": 0.5}))
    workspace = new_workspace()
    summary = build(workspace, make_config(40, batch=BATCH, max_rounds=1), batch=True)
    assert summary.spent.num_replies == server.num_requests
    assert (summary.num_kept, summary.dropped) == (40, {})
    with Ledger(workspace.ledger_path) as ledger:
        raw = [row[0] for row in ledger.db.execute("SELECT raw FROM reply")]
    assert 10 < sum(b"\\ud83d " in line for line in raw) < 40


def test_a_key_in_results_is_masked_before_they_are_stored(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve_batches(serve, Faults(rates={"batch_400": 0.3}, echo_key=True))
    workspace = new_workspace()
    summary = build(workspace, make_config(40, batch=BATCH, max_rounds=1), batch=True)
    assert summary.dropped["http_400"] > 0
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert [path for path in files if PLANTED_KEY.encode() in path.read_bytes()] == []
    with Ledger(workspace.ledger_path) as ledger:
        assert any(b"[key]" in row[0] for row in ledger.db.execute("SELECT raw FROM reply"))


def test_files_stay_within_the_providers_limit_on_bytes(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve_batches(serve)
    limits = {"poll_s": 0.05, "max_bytes": 200_000}
    build(new_workspace(), make_config(40, batch=limits), batch=True)
    assert server.most_bytes <= 200_000
    assert len(server.lines_a_batch) > 1


def test_a_file_is_sent_when_it_is_full_and_deleted_when_it_was_taken(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    files_at_start: list[int] = []
    directory = workspace.root / "batches"
    server.on_start = lambda: files_at_start.append(len(list(directory.glob("*.jsonl"))))
    limits = {"poll_s": 0.05, "max_requests": 10, "max_open": 2}
    assert build(workspace, make_config(80, batch=limits), batch=True).num_kept == 80
    assert files_at_start == [1] * 8
    assert server.most_open == 2


def test_only_as_many_batches_are_open_as_allowed(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve_batches(serve)
    limits = {"poll_s": 0.05, "max_requests": 10, "max_open": 1}
    summary = build(new_workspace(), make_config(40, batch=limits), batch=True)
    assert summary.num_kept == 40
    assert server.lines_a_batch == [10] * 4
    assert server.most_open == 1
    assert make_config().batch.max_open is not None


@pytest.mark.parametrize("says_so_at_start", [True, False])
def test_a_full_queue_is_waited_for_and_counts_no_attempt(
    serve: Serve, new_workspace: NewWorkspace, says_so_at_start: bool
) -> None:
    server, workspace = serve_batches(serve, num_looks=3), new_workspace()
    server.max_enqueued, server.says_full_at_start = 25, says_so_at_start
    pace = {"max_in_flight": 16, "max_attempts": 1}
    limits = {"poll_s": 0.02, "max_requests": 10}
    config = make_config(60, batch=limits, pace=pace, max_rounds=1)
    summary = build(workspace, config, batch=True)
    assert summary.num_kept == 60
    assert server.num_turned_away > 0
    assert server.num_requests == summary.spent.num_requests == 60
    uploads = [name for name, content in server.files.items() if b'"method":"POST"' in content]
    assert len(uploads) == 6


def test_a_batch_too_large_for_the_queue_goes_out_in_smaller_ones(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    server.max_enqueued = 8
    pace = {"max_in_flight": 16, "max_attempts": 1}
    limits = {"poll_s": 0.01, "max_requests": 25}
    config = make_config(40, batch=limits, pace=pace, max_rounds=1)
    summary = build(workspace, config, batch=True)
    assert summary.num_kept == 40
    assert server.num_requests == summary.spent.num_requests == 40


def test_a_batch_whose_start_was_lost_is_found_and_not_started_again(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    server.lose_next_start = True
    config = make_config(20, batch=BATCH)
    with pytest.raises(EndpointError, match="Run the same command again"):
        build(workspace, config, batch=True)
    assert build(workspace, config, batch=True).num_kept == 20
    assert len(server.batches) == 1


def test_a_lost_start_is_found_at_a_provider_that_keeps_no_metadata(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    server.lose_next_start, server.keeps_metadata = True, False
    config = make_config(20, batch=BATCH)
    with pytest.raises(EndpointError, match="Run the same command again"):
        build(workspace, config, batch=True)
    assert build(workspace, config, batch=True).num_kept == 20
    assert [batch["input_file_id"] for batch in server.batches.values()] == ["file-0"]


def test_a_batch_that_fails_as_a_whole_says_why_and_is_asked_for_anew(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    server.fail_next_batch = "line 1 is too long"
    config = make_config(20, batch=BATCH)
    with pytest.raises(EndpointError, match="line 1 is too long"):
        build(workspace, config, batch=True)
    assert build(workspace, config, batch=True).num_kept == 20


def test_an_endpoint_without_schemas_is_asked_otherwise_in_the_next_batch(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve_batches(serve, Faults(formats=("json_object", "text")))
    summary = build(new_workspace(), make_config(20, batch=BATCH), batch=True)
    assert summary.num_kept == 20
    assert len(server.batches) == 2


def test_refusals_that_name_the_format_change_nothing_where_others_are_answered(
    serve: Serve, new_workspace: NewWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve_batches(serve, Faults(rates={"batch_names_format": 0.2}))
    summary = build(new_workspace(), make_config(40, batch=BATCH, max_rounds=1), batch=True)
    assert set(summary.dropped) == {"http_400"}
    assert summary.dropped["http_400"] >= 2
    assert max(server.asked.values()) == 2
    assert "refuses" not in caplog.text


@pytest.mark.parametrize("max_requests", [5, 1])
def test_a_format_is_given_up_in_batches_once_two_refusals_name_it(
    max_requests: int,
    serve: Serve,
    new_workspace: NewWorkspace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve_batches(serve, Faults(formats=("json_object", "text")))
    batch = {**BATCH, "max_requests": max_requests, "max_open": 1}
    summary = build(new_workspace(), make_config(20, batch=batch), batch=True)
    assert summary.num_kept == 20
    assert server.num_requests < 20 + 20  # not every one had to be refused first
    assert caplog.text.count("refuses response_format json_schema for model scripted") == 1


def test_max_requests_bounds_what_is_submitted(serve: Serve, new_workspace: NewWorkspace) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    config = make_config(40, batch=BATCH)
    with pytest.raises(BudgetReached):
        build(workspace, config, batch=True, max_requests=15)
    assert server.num_requests == 15
    build(workspace, config, batch=True, max_requests=100)
    assert server.num_requests == 40


def test_kills_between_submitting_and_fetching_submit_nothing_twice(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve_batches(serve, Faults(rates=RATES), num_looks=8), new_workspace()
    config = make_config(60, batch={**BATCH, "poll_s": 0.05})
    for number in range(8):
        arguments = (workspace.root, config.model_dump(mode="json"), {"batch": True})
        child = start_process(
            run_child_build, *arguments, tmp_path / "log", server.url, PLANTED_KEY
        )
        before, deadline = len(server.batches), time.monotonic() + 20
        while len(server.batches) == before and number % 2 == 0 and child.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.03 * number)
        child.kill()
        child.join()
    summary = build(workspace, config, batch=True)
    assert summary.num_kept == 60
    assert sum(num - 1 for num in server.answered.values()) == 0
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.open_batches("teacher") == []


def test_a_live_build_waits_for_batches_that_an_earlier_run_sent(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve_batches(serve, num_looks=30), new_workspace()
    config = make_config(40, batch=BATCH)
    arguments = (workspace.root, config.model_dump(mode="json"), {"batch": True})
    child = start_process(run_child_build, *arguments, tmp_path / "log", server.url, PLANTED_KEY)
    deadline = time.monotonic() + 20
    while len(server.batches) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)
    child.join(20)
    assert child.exitcode == 130
    assert all(batch["status"] == "in_progress" for batch in server.batches.values())

    summary = build(workspace, config)
    assert summary.num_kept == 40
    assert server.num_requests == summary.spent.num_requests == 40
    assert server.statuses == {}  # not one was asked live
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.open_batches("teacher") == []


def test_a_live_build_asks_for_what_was_written_down_for_a_batch_and_never_sent(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    server.takes_files = False
    config = make_config(40, batch=BATCH)
    with pytest.raises(EndpointError, match="no files today"):
        build(workspace, config, batch=True)
    summary = build(workspace, config)
    assert summary.num_kept == 40
    assert server.statuses[200] == summary.spent.num_requests == 40
    assert not list((workspace.root / "batches").iterdir())


def test_a_workspace_with_batches_under_way_is_not_merged(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    server.lose_next_start = True
    with pytest.raises(EndpointError):
        build(workspace, make_config(20, batch=BATCH), batch=True, shard=(0, 1))
    with pytest.raises(LedgerError, match=r"batches under way.*builder build"):
        run_merge([workspace.root], tmp_path / "joined")


#: What every line of a batch says, and what is to be heard of it.
ACCOUNT_TROUBLE = {
    "all_429": (429, "Rate limit reached for the day"),
    "credit": (400, "Your credit balance is too low to access the API."),
    "key": (401, "Incorrect API key provided"),
}


@pytest.mark.parametrize("trouble", ACCOUNT_TROUBLE)
def test_account_trouble_in_every_line_stops_the_run_and_leaves_its_jobs_open(
    serve: Serve, new_workspace: NewWorkspace, trouble: str
) -> None:
    status, words = ACCOUNT_TROUBLE[trouble]

    class Troubled(BatchServer):
        """Completes batches without an output file."""

        is_settled = False

        def _result(self, request: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
            if self.is_settled:
                return super()._result(request)
            return status, {"error": {"message": words, "type": "invalid_request_error"}}

        def _complete_batch(self, batch: dict[str, Any]) -> None:
            super()._complete_batch(batch)
            if not self.is_settled:
                batch["output_file_id"] = None

    server = serve(make=Troubled)
    assert isinstance(server, Troubled)
    workspace, config = new_workspace(), make_config(20, batch=BATCH)
    with pytest.raises(EndpointError, match=f"{words}.*Nothing was lost and its jobs stay open"):
        build(workspace, config, batch=True)
    assert len(server.batches) == 1
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}
    server.is_settled = True
    summary = build(workspace, config, batch=True)
    assert (summary.num_kept, summary.dropped) == (20, {})
    assert len(server.batches) == 2
