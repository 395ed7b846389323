"""kill -9 at any moment: the same rows come out, and only what was in flight is paid twice."""

import random
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from tests.generate.conftest import PLANTED_KEY, build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer
from tests.generate.processes import run_child_build, start_process

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

NUM_KILLS = 20
IN_FLIGHT = 6
RATES = {"not_json": 0.05, "refusal": 0.05, "truncated": 0.05, "500": 0.05, "prose": 0.1}


def test_twenty_kills_change_no_row_and_pay_nothing_twice_but_what_was_in_flight(
    serve: Serve, new_workspace: NewWorkspace, tmp_path: Path
) -> None:
    pace = {"max_in_flight": IN_FLIGHT, "initial_in_flight": IN_FLIGHT, "breaker_window_s": 30}
    config = make_config(360, pace=pace)
    serve(Faults(rates=RATES))
    whole = new_workspace("whole")
    build(whole, config)

    server = serve(Faults(rates=RATES, latency_s=0.1))
    killed = new_workspace("killed")
    dice = random.Random(1)
    num_kills = 0
    while num_kills < NUM_KILLS:
        before = server.num_requests
        arguments = (killed.root, config.model_dump(mode="json"), {}, tmp_path / "log")
        child = start_process(run_child_build, *arguments, server.url, PLANTED_KEY)
        # Half the kills come early, while rounds are planned and the first requests written down.
        wait_s = dice.uniform(0.0, 0.2)
        if dice.random() < 0.7:
            _wait_for_request(server, before, child)
        time.sleep(wait_s)
        if not child.is_alive():
            break
        child.kill()
        child.join()
        num_kills += 1
    assert num_kills == NUM_KILLS, "the build ended before all kills; make it longer"
    build(killed, config)

    assert kept_rows(killed) == kept_rows(whole)
    paid_twice = sum(num - 1 for num in server.answered.values())
    assert paid_twice <= NUM_KILLS * IN_FLIGHT
    with Ledger(killed.ledger_path) as ledger, Ledger(whole.ledger_path) as other:
        assert ledger.drop_counts() == other.drop_counts()
        # every call that was paid twice counts as possibly billed
        assert paid_twice <= ledger.spent().num_killed <= NUM_KILLS * IN_FLIGHT
        assert ledger.spent().killed_usd > 0
        # what was answered and committed is there once
        assert ledger.spent().num_replies == other.spent().num_replies


def _wait_for_request(server: FaultServer, before: int, child: BaseProcess) -> None:
    deadline = time.monotonic() + 30.0
    while server.num_requests == before and child.is_alive():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
