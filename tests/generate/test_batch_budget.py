"""Money in batch mode: set aside before a request goes into a file, at the price of batches."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.config import BuildConfig
from builder.cost.budget import BudgetReached
from builder.cost.price import price_of
from builder.cost.upper_bound import CostUpperBound
from builder.generate.models import request_factory
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.plan import plan_round
from builder.prompts import render_prompt
from builder.workspace import Workspace
from tests.generate.batch_server import BatchServer
from tests.generate.conftest import PLANTED_KEY, build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer
from tests.generate.processes import run_child_build, start_process

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

BATCH = {"poll_s": 0.05, "max_requests": 10}
A_SAMPLE = (1900 + 2 * 900) / 1e6
LISTED = {"model": "gpt-4o-2024-08-06"}
A_LISTED_SAMPLE = (1900 * 2.5 + 900 * 10) / 1e6


def serve_batches(serve: Serve, faults: Faults | None = None, num_looks: int = 2) -> BatchServer:
    server = serve(faults, make=lambda faults: BatchServer(faults, num_looks))
    assert isinstance(server, BatchServer)
    return server


def most_a_request(workspace: Workspace, config: BuildConfig) -> float:
    """The largest bound of any request of the first round."""
    price = price_of(config.teacher)
    assert price is not None
    with ImageStore(workspace.images_dir, config.images) as store:
        factory = request_factory(config.teacher, config, store)
        bound = CostUpperBound(price, factory, lambda _: (64, 64), config.images.max_side_px)
        jobs = list(plan_round(config, store, 0, {}).jobs())
        return max(bound.usd(factory.sample(job, render_prompt(job))) for job in jobs)


def test_what_lies_in_files_never_goes_beyond_the_bound(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve_batches(serve), new_workspace()
    config = make_config(60, batch=BATCH)
    most = most_a_request(workspace, config)
    max_usd = 8.5 * most
    with pytest.raises(BudgetReached, match=r"--max-usd.*higher limit"):
        build(workspace, config, batch=True, max_usd=max_usd)
    # the first file holds what the bound allows at most, later ones what replies left of it
    assert 8 <= server.lines_a_batch[0] < 8.5 * most / A_SAMPLE
    assert len(server.lines_a_batch) > 2
    with Ledger(workspace.ledger_path) as ledger:
        spent = ledger.spent().cost_usd
    assert spent == pytest.approx(server.num_requests * A_SAMPLE)
    assert max_usd - most < spent <= max_usd


def test_a_higher_bound_goes_on_and_gives_the_rows_of_a_build_without_one(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    rates = {"not_json": 0.1, "refusal": 0.1, "batch_500": 0.1, "batch_missing": 0.1}
    server = serve_batches(serve, Faults(rates=rates))
    config = make_config(40, batch=BATCH)
    whole, bounded = new_workspace("whole"), new_workspace("bounded")
    build(whole, config, batch=True)
    num_requests = server.num_requests
    with pytest.raises(BudgetReached):
        build(bounded, config, batch=True, max_usd=0.06)
    with Ledger(bounded.ledger_path) as ledger:
        assert 0.04 < ledger.spent().cost_usd <= 0.06
    build(bounded, config, batch=True, max_usd=10)
    assert kept_rows(bounded) == kept_rows(whole)
    assert server.num_requests <= 2 * num_requests


def test_a_bound_below_one_request_sends_nothing(serve: Serve, new_workspace: NewWorkspace) -> None:
    server = serve_batches(serve)
    with pytest.raises(BudgetReached, match="the next one can cost"):
        build(new_workspace(), make_config(20, batch=BATCH), batch=True, max_usd=0.001)
    assert server.files == {}


def test_listed_prices_are_halved_and_configured_ones_taken_as_they_are(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve_batches(serve)
    listed = build(
        new_workspace("listed"), make_config(12, batch=BATCH, teacher=LISTED), batch=True
    )
    assert listed.spent.cost_usd == pytest.approx(12 * A_LISTED_SAMPLE / 2)
    given = build(new_workspace("given"), make_config(12, batch=BATCH), batch=True)
    assert given.spent.cost_usd == pytest.approx(12 * A_SAMPLE)


def test_results_of_an_earlier_batch_cost_what_batches_cost_in_a_live_build_too(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    server, workspace = serve_batches(serve, num_looks=8), new_workspace()
    config = make_config(20, batch={**BATCH, "max_open": 1}, teacher=LISTED)
    arguments = (workspace.root, config.model_dump(mode="json"), {"batch": True})
    child = start_process(run_child_build, *arguments, tmp_path / "log", server.url, PLANTED_KEY)
    deadline = time.monotonic() + 20
    while not server.batches:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGINT)
    child.join(20)
    num_batched = server.lines_a_batch[0]
    assert len(server.batches) == 1
    summary = build(workspace, config)
    num_live = server.statuses[200]
    assert num_batched + num_live == summary.num_kept == 20
    cost = num_batched * A_LISTED_SAMPLE / 2 + num_live * A_LISTED_SAMPLE
    assert summary.spent.cost_usd == pytest.approx(cost)
