"""Builds against the scripted endpoint: every fault, every stop, and the same rows every time."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from builder.cost.budget import BudgetReached
from builder.endpoint.health import EndpointError
from builder.ledger.ledger import Ledger, LedgerError
from builder.workspace import Workspace
from schemas.sample import Provenance, Sample
from tests.generate.conftest import PLANTED_KEY, build, kept_rows, make_config
from tests.generate.fault_server import _CONTENT_FAULTS, Faults, FaultServer
from tests.generate.processes import run_child_build, start_process

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

EVERY_FAULT = dict.fromkeys((*_CONTENT_FAULTS, "429", "429_date", "500", "503", "reset"), 0.03)


def test_a_build_keeps_valid_rows_with_provenance(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    summary = build(workspace, make_config(60))
    assert (summary.num_kept, summary.num_jobs) == (60, 60)
    assert server.num_requests == summary.spent.num_requests == 60
    assert summary.spent.cost_usd == pytest.approx(60 * (1900 + 2 * 900) / 1e6)
    for row, origin in kept_rows(workspace):
        sample = Sample.model_validate_json(row)
        provenance = Provenance.model_validate_json(origin)
        assert sample.id == provenance.id
        assert sample.query_text == provenance.revision.query_text
        assert [entry.sha256 for entry in provenance.images] == sample.images


def test_every_fault_ends_in_a_sample_or_a_reason_and_the_counts_add_up(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(rates=EVERY_FAULT)), new_workspace()
    summary = build(workspace, make_config(240, max_rounds=2))
    assert summary.num_jobs == summary.num_kept + sum(summary.dropped.values())
    assert set(summary.dropped) <= {
        *("refusal", "truncated", "empty_choices", "empty_content", "content_filter"),
        *("not_a_completion", "surplus"),
    }
    assert len(summary.dropped) >= 6
    # every request that was answered has its reply on disk, and every one sent is written down
    assert summary.spent.num_requests == server.num_requests
    assert summary.spent.num_replies == server.statuses[200]


def test_unreadable_replies_are_asked_for_again_once_then_dropped_by_reason(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    faults = Faults(rates={"not_json": 0.2, "duplicate_key": 0.2}, mended_by_correction=False)
    server, workspace = serve(faults), new_workspace()
    summary = build(workspace, make_config(60, max_rounds=1))
    num_bad = summary.num_jobs - summary.num_kept
    assert set(summary.dropped) == {"not_json", "duplicate_key"}
    assert server.num_requests == summary.num_jobs + num_bad
    server.faults.mended_by_correction = True
    mended = build(new_workspace("second"), make_config(60, max_rounds=1))
    assert mended.num_kept == 60
    assert max(server.asked.values()) <= 2


def test_white_space_that_a_schema_lets_flow_is_stopped_by_asking_without_one(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    faults = Faults(rates={"schema_flood": 0.4}, mended_by_correction=False)
    server = serve(faults)
    summary = build(new_workspace(), make_config(60, max_rounds=1))
    assert (summary.num_kept, summary.dropped) == (60, {})
    assert 60 + 10 < server.num_requests < 60 + 40
    server.faults.rates = {"whitespace": 0.4}
    summary = build(new_workspace("second"), make_config(60, max_rounds=1))
    assert set(summary.dropped) == {"whitespace_flood"}
    assert max(server.asked.values()) <= 2


def test_rows_are_the_same_whatever_the_concurrency_and_the_order(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(Faults(rates=EVERY_FAULT))
    one, many = new_workspace("one"), new_workspace("many")
    build(one, make_config(80, pace={"max_in_flight": 2, "breaker_window_s": 5}))
    build(many, make_config(80, pace={"max_in_flight": 64, "initial_in_flight": 64}))
    assert kept_rows(one) == kept_rows(many)


def test_shares_are_met_although_five_languages_fail_often(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    biased: dict[str, float] = dict.fromkeys(("fr", "de", "ja", "zh", "hi"), 0.3)
    serve(Faults(languages=biased))
    summary = build(new_workspace(), make_config(600))
    assert summary.dropped["wrong_script"] + summary.dropped.get("wrong_language", 0) > 20
    assert summary.balance.is_met
    assert summary.balance.largest_gap <= 0.01
    assert summary.balance.largest_shortfall <= 0.01


def test_a_finished_build_asks_for_nothing_more(serve: Serve, new_workspace: NewWorkspace) -> None:
    server, workspace = serve(), new_workspace()
    build(workspace, make_config(40))
    before = kept_rows(workspace)
    build(workspace, make_config(40))
    assert server.num_requests == 40
    assert kept_rows(workspace) == before


def test_how_an_endpoint_takes_requests_is_found_out_once_and_remembered(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(formats=("text",))), new_workspace()
    config = make_config(60, pace={"max_in_flight": 2, "initial_in_flight": 2})
    with pytest.raises(BudgetReached):
        build(workspace, config, max_requests=40)
    assert 4 <= server.statuses[400] <= 12
    before = server.statuses[400]
    build(workspace, config)
    num_probes = server.statuses[200] - 60
    assert server.statuses[400] == before and num_probes <= 8


def test_a_wrong_key_stops_at_once_and_says_what_to_check(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve()
    server.faults.key = "sk-another-0123456789"
    started = time.monotonic()
    with pytest.raises(EndpointError, match=r"answered 401.*OPENAI_API_KEY") as error:
        build(new_workspace(), make_config(60))
    assert time.monotonic() - started < 10
    assert server.num_requests <= 16
    assert "Incorrect API key provided: Bearer [key]" in str(error.value)
    assert PLANTED_KEY not in str(error.value)


@pytest.mark.parametrize(
    ("fault", "message"),
    [("404", "Check the model name"), ("403", "may not use model"), ("quota", "No credit")],
)
def test_what_no_request_can_pass_stops_at_once(
    serve: Serve, new_workspace: NewWorkspace, fault: str, message: str
) -> None:
    serve(Faults(always=fault))
    with pytest.raises(EndpointError, match=message):
        build(new_workspace(), make_config(60))


@pytest.mark.parametrize("number", [1, 30])
def test_one_forbidden_request_is_dropped_and_the_build_goes_on(
    serve: Serve, new_workspace: NewWorkspace, number: int
) -> None:
    class Moderated(FaultServer):
        """Forbids one job, as moderation of images does, well before others are answered."""

        forbidden: bytes | None = None

        async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
            if self.num_requests == number:
                self.forbidden = body
            if body == self.forbidden:
                return web.json_response({"error": {"message": "input was flagged"}}, status=403)
            return await super()._answer(request, body)

    serve(Faults(latency_s=0.3), Moderated)
    summary = build(new_workspace(), make_config(60, max_rounds=1))
    assert (summary.num_kept, summary.dropped) == (59, {"refused": 1})


def test_a_key_that_loses_its_rights_ends_a_build_with_nothing_dropped(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults()), new_workspace()
    build(workspace, make_config(20))
    server.faults.always = "403"
    with pytest.raises(EndpointError, match="may not use model"):
        build(workspace, make_config(60))
    assert len(kept_rows(workspace)) == 20
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}


def test_a_key_that_loses_its_rights_on_the_way_is_no_reason_to_drop_the_rest(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    class Revoking(FaultServer):
        """Forbids everything after the thirtieth request."""

        async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
            if self.num_requests > 30:
                return web.json_response({"error": {"message": "no rights"}}, status=403)
            return await super()._answer(request, body)

    serve(make=Revoking)
    workspace = new_workspace()
    with pytest.raises(EndpointError, match=r"nothing but failures \(http_403"):
        build(workspace, make_config(200))
    assert len(kept_rows(workspace)) == 30
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}


@pytest.mark.parametrize("fault", ["500", "429", "429_after", "reset", "400"])
def test_an_endpoint_that_only_fails_is_given_up_with_nothing_dropped(
    serve: Serve, new_workspace: NewWorkspace, fault: str
) -> None:
    server = serve(Faults(always=fault))
    workspace = new_workspace()
    given_up = r"(nothing but failures|refuses every request).* run the same command again"
    with pytest.raises(EndpointError, match=f"(?i){given_up}"):
        build(workspace, make_config(60))
    assert server.num_requests <= 30
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}


def test_an_outage_costs_no_job_however_often_it_was_asked_for_meanwhile(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(latency_s=0.05)), new_workspace()

    def outage() -> None:
        _wait_for(lambda: server.statuses[200] >= 20)
        server.faults.always = "reset"
        time.sleep(3.0)
        server.faults.always = None

    thread = threading.Thread(target=outage)
    thread.start()
    pace = {"max_in_flight": 8, "max_attempts": 2, "breaker_window_s": 20}
    summary = build(workspace, make_config(60, pace=pace))
    thread.join()
    assert server.num_requests > 60 + 2 * 8  # each was tried as often as a flawed one would be
    assert summary.num_kept == summary.num_jobs == 60
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}


def test_an_endpoint_that_is_down_is_given_up(
    new_workspace: NewWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED_KEY)
    with pytest.raises(EndpointError, match=r"no_connection.*Is the server up\?"):
        build(new_workspace(), make_config(60))


def test_slow_drips_and_no_response_end_in_a_timeout_and_another_try(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(Faults(rates={"slow": 0.1, "timeout": 0.1}))
    teacher = {"model": "scripted", "timeout_s": 1}
    summary = build(new_workspace(), make_config(40, teacher=teacher, max_rounds=1))
    assert summary.num_kept == 40
    assert summary.spent.num_requests > 40


def test_a_request_that_always_fails_while_others_succeed_is_given_up_by_reason(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(Faults(rates={"502": 0.1})), new_workspace()
    pace = {"max_in_flight": 8, "max_attempts": 2, "breaker_window_s": 30}
    summary = build(workspace, make_config(40, max_rounds=1, pace=pace))
    assert set(summary.dropped) == {"http_502"}
    assert server.num_requests == summary.spent.num_requests


def test_concurrency_settles_near_what_the_endpoint_takes(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve(Faults(capacity=6, latency_s=0.05))
    pace = {"max_in_flight": 64, "initial_in_flight": 4, "breaker_window_s": 10}
    summary = build(new_workspace(), make_config(150, pace=pace, max_rounds=1))
    assert summary.num_kept == 150
    assert server.statuses[429] < 75


def test_as_many_calls_are_under_way_as_the_configuration_says(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve(Faults(latency_s=1.0))
    pace = {"max_in_flight": 180, "initial_in_flight": 180}
    build(new_workspace(), make_config(180, pace=pace))
    assert server.most_at_once > 150


def test_max_requests_is_a_hard_stop_that_a_higher_number_lifts(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    with pytest.raises(BudgetReached, match="--max-requests 25"):
        build(workspace, make_config(60), max_requests=25)
    assert server.num_requests == 25
    assert len(kept_rows(workspace)) == 25
    build(workspace, make_config(60), max_requests=100)
    assert server.num_requests == 60


def test_max_usd_without_a_price_is_refused_before_the_first_request(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve()
    from schemas.errors import PolysceneError

    with pytest.raises(PolysceneError, match=r"price of no-such-model is not known"):
        build(new_workspace(), make_config(60, teacher={"model": "no-such-model"}), max_usd=1.0)
    assert server.num_requests == 0


def test_another_configuration_is_refused_in_the_same_workspace(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace = new_workspace()
    build(workspace, make_config(30))
    with pytest.raises(LedgerError, match=r"started with another configuration.*another workspace"):
        build(workspace, make_config(30, seed=5))
    build(workspace, make_config(30, pace={"max_in_flight": 3}))


def test_sigint_drains_and_keeps_what_was_in_flight(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve(Faults(latency_s=0.5)), new_workspace()
    config = make_config(200).model_dump(mode="json")
    log = tmp_path / "log.txt"
    arguments = (workspace.root, config, {}, log, server.url, PLANTED_KEY)
    child = start_process(run_child_build, *arguments)
    _wait_for(lambda: server.num_requests >= 8)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)
    child.join(30)
    assert child.exitcode == 130
    assert "Stopping" in log.read_text()
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.spent().num_replies == server.num_requests == len(list(ledger.kept()))


def test_a_second_sigint_leaves_at_once_and_loses_nothing_committed(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve(Faults(latency_s=3)), new_workspace()
    config = make_config(60).model_dump(mode="json")
    arguments = (workspace.root, config, {}, tmp_path / "log.txt", server.url, PLANTED_KEY)
    child = start_process(run_child_build, *arguments)
    _wait_for(lambda: server.num_requests >= 8)
    assert child.pid is not None
    started = time.monotonic()
    os.kill(child.pid, signal.SIGINT)
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGINT)
    child.join(30)
    assert child.exitcode == 130
    assert time.monotonic() - started < 2.5
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.spent().num_requests == 8
    server.faults.latency_s = 0
    assert build(workspace, make_config(60)).num_kept == 60


def test_no_key_is_found_in_any_file_log_or_message(
    serve: Serve, new_workspace: NewWorkspace, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    rates = {"400": 0.2, "500": 0.1, "429": 0.1, "not_json": 0.2}
    server, workspace = serve(Faults(rates=rates, echo_key=True)), new_workspace()
    build(workspace, make_config(60, max_rounds=2))
    assert server.statuses[400] > 0
    with Ledger(workspace.ledger_path) as ledger:
        raw = ledger.db.execute("SELECT raw FROM reply WHERE status = 200").fetchone()[0]
    assert b"Bearer [key]" in raw  # it was echoed, and was hidden
    found = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and PLANTED_KEY.encode() in path.read_bytes()
    ]
    assert found == []
    assert PLANTED_KEY not in caplog.text


def test_images_are_not_in_the_ledger(serve: Serve, new_workspace: NewWorkspace) -> None:
    serve()
    workspace = new_workspace()
    build(workspace, make_config(40))
    assert re.search(rb"base64,|iVBORw0KGgo", workspace.ledger_path.read_bytes()) is None


def test_a_judge_scores_revisions_without_seeing_the_first_scores(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    judge = {"model": "second", "prices": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}}
    config = make_config(30, judge=judge)
    summary = build(workspace, config)
    assert server.num_requests == summary.spent.num_requests == 60
    for _, origin in kept_rows(workspace):
        provenance = Provenance.model_validate_json(origin)
        assert provenance.judge_model == "second"
        assert provenance.judge is not None


def _wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
