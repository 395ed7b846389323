"""A pilot is a handful over cells and languages, with its page, and counts towards the build."""

from collections.abc import Callable

import orjson
import pytest

from builder import api
from builder.balance.pilot import PilotError, pilot_config
from builder.ledger.ledger import Ledger
from builder.plan.shares import targets_of
from builder.samples.pilot import drop_interval
from builder.workspace import Workspace
from tests.generate.conftest import build, images, make_config, new_workspace, serve
from tests.generate.fault_server import Faults, FaultServer

__all__ = ["images", "new_workspace", "serve"]


def test_a_pilot_covers_every_cell_and_as_many_languages_as_it_has_samples() -> None:
    config = make_config(560_000, languages="mme5", task_shares={"vqa": 1, "retrieval": 9})
    targets = targets_of(pilot_config(config, 20))
    assert targets.wanted_CL.sum() == 20
    assert set(targets.wanted_CL.sum(axis=0)) == {1}
    assert targets.wanted_CL.sum(axis=1).min() >= 2
    assert "en" in targets.languages  # 43 % of all
    assert pilot_config(config, 20).workspace_hash == config.workspace_hash


def test_a_pilot_counts_towards_the_build(
    new_workspace: Callable[[str], Workspace], serve: Callable[..., FaultServer]
) -> None:
    server = serve(Faults(languages={"fr": 1.0}))
    workspace, config = new_workspace("w"), make_config(60)
    summary = api.build(config, workspace.root, pilot=24)
    assert summary.dropped == {"wrong_script": 2} and summary.num_jobs == 24
    page = (workspace.root / "pilot.html").read_text(encoding="utf-8")
    assert page.count("<article>") == 24 and "of 24 kept; between" in page
    assert "60 samples would cost about $" in page and "French (fr)" in page
    api.build(config, workspace.root, pilot=24)  # asks nothing again
    with Ledger(workspace.ledger_path) as ledger:
        pilot = {job for (job,) in ledger.db.execute("SELECT job_id FROM outcome")}
        assert ledger.spent().num_requests == summary.spent.num_requests
    server.faults.languages.clear()
    whole = build(workspace, config)
    assert whole.num_kept == 60 and whole.balance.is_met
    with Ledger(workspace.ledger_path) as ledger:
        jobs = {job for (job,) in ledger.db.execute("SELECT job_id FROM outcome")}
    assert pilot < jobs and len(jobs) == 62
    with pytest.raises(PilotError, match="60 kept samples, so a pilot of 24 adds nothing"):
        build(workspace, config, pilot=24)


def test_a_build_writes_what_it_did_for_programs(
    new_workspace: Callable[[str], Workspace], serve: Callable[..., FaultServer]
) -> None:
    serve(Faults(languages={"fr": 1.0}))
    workspace = new_workspace("w")
    summary = build(workspace, make_config(144, max_rounds=2, max_slot_failures=None))
    run = orjson.loads((workspace.root / "run.json").read_bytes())
    assert run["kept"] == summary.num_kept and run["drops"] == summary.dropped
    assert run["run"]["kept"] == summary.num_kept and run["run"]["jobs_per_s"] > 0
    assert run["run"]["wanted"] == 144 and not run["run"]["is_met"]
    french = run["languages"]["fr"]
    assert french["kept"] <= 1 and french["cost_usd"] > 12 * run["languages"]["de"]["usd_per_kept"]
    assert french["reasons"] == {"wrong_script": french["dropped"]}
    total = sum(group["cost_usd"] for group in run["languages"].values())
    assert total == pytest.approx(summary.spent.cost_usd, abs=1e-4)
    assert [model["model"] for model in run["models"]] == ["scripted"]
    assert any("French (fr) hardly passes: " in sign for sign in run["looks_wrong"])


def test_intervals_are_wilsons() -> None:
    low, high = drop_interval(1, 20)
    assert (round(low, 3), round(high, 3)) == (0.009, 0.236)
    assert drop_interval(0, 0) == (0.0, 1.0)
