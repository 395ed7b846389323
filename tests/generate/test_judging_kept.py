"""A judge that comes later judges what was kept before, once, and changes nothing else."""

from collections.abc import Callable

import orjson
import pytest
from aiohttp import web
from rich.console import Console
from typer.testing import CliRunner

from builder.cli import make_app
from builder.config import BuildConfig, save_config
from builder.cost.budget import BudgetReached
from builder.generate.merge import run_merge
from builder.generate.reparse import run_reparse
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace, open_workspace
from schemas.sample import Provenance
from tests.generate.batch_server import BatchServer
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer, is_judge
from tests.generate.replies import completion, valid_evaluation

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

PRICES = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 3}
SCORES = {"second": 2, "third": 5}
FAULTS = {"not_json": 0.1, "refusal": 0.1, "prose": 0.1}


class JudgeServer(FaultServer):
    """Scores by the judge's name, and counts judgements; some seeds get none that can be read."""

    num_judged = 0

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        content = orjson.loads(body)
        if not is_judge(content):
            return await super()._answer(request, body)
        self.num_judged += 1
        reply = orjson.dumps(valid_evaluation(SCORES[content["model"]])).decode()
        return web.Response(body=orjson.dumps(completion(reply)), content_type="application/json")


def judged_by(model: str, num_samples: int = 40, **fields: object) -> BuildConfig:
    return make_config(num_samples, judge={"model": model, "prices": PRICES}, **fields)


def judge_server(serve: Serve) -> JudgeServer:
    server = serve(Faults(rates=FAULTS), make=JudgeServer)
    assert isinstance(server, JudgeServer)
    return server


def judgements(workspace: Workspace) -> set[tuple[str | None, int | None]]:
    found = [Provenance.model_validate_json(row) for _, row in kept_rows(workspace)]
    return {(p.judge_model, p.judge.clarity.score if p.judge else None) for p in found}


def test_a_judge_added_later_gives_the_rows_of_one_that_was_there_from_the_start(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = judge_server(serve)
    whole, later = new_workspace("whole"), new_workspace("later")
    build(whole, judged_by("second"))
    build(later, make_config(40))
    num_before, num_judged = server.num_requests, server.num_judged
    summary = build(later, judged_by("second"))
    assert kept_rows(later) == kept_rows(whole)
    assert server.num_requests - num_before == server.num_judged - num_judged == 40
    assert summary.num_kept == 40
    build(later, judged_by("second"))
    assert server.num_requests - num_before == 40


def test_a_judge_added_with_more_samples_judges_old_and_new(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = judge_server(serve), new_workspace()
    build(workspace, make_config(20, languages={"fr": 1}))
    build(workspace, judged_by("second", 50, languages={"fr": 1}))
    assert server.num_judged == 50
    assert judgements(workspace) == {("second", 2)}


def test_stopped_judging_goes_on_without_asking_twice(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace, whole = judge_server(serve), new_workspace(), new_workspace("whole")
    build(whole, judged_by("second"))
    server.num_judged = 0
    build(workspace, make_config(40))
    with Ledger(workspace.ledger_path) as ledger:
        sent = ledger.spent().num_requests
    for more in (7, 23):
        with pytest.raises(BudgetReached):
            build(workspace, judged_by("second"), max_requests=sent + more)
    build(workspace, judged_by("second"))
    assert server.num_judged == 40
    assert kept_rows(workspace) == kept_rows(whole)


def test_a_judgement_that_came_before_a_kill_is_not_asked_for_again(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = judge_server(serve), new_workspace()
    build(workspace, make_config(20))
    before = kept_rows(workspace)
    build(workspace, judged_by("second", 20))
    judged = kept_rows(workspace)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        # as a kill leaves it: every reply is there, no sample has its judgement yet
        for sample, provenance in before:
            sample_id = orjson.loads(sample)["id"]
            ledger.db.execute(
                "UPDATE outcome SET provenance = ? WHERE sample_id = ?", (provenance, sample_id)
            )
        ledger.db.execute("DELETE FROM meta WHERE name = 'judged by'")
    build(workspace, judged_by("second", 20))
    assert server.num_judged == 20
    assert kept_rows(workspace) == judged


def test_judging_late_goes_through_batches_too(serve: Serve, new_workspace: NewWorkspace) -> None:
    serve(make=lambda faults: BatchServer(faults, 1))
    batch = {"poll_s": 0.02, "max_requests": 15}
    whole, later = new_workspace("whole"), new_workspace("later")
    build(whole, judged_by("second", 30, batch=batch), batch=True)
    build(later, make_config(30, batch=batch), batch=True)
    build(later, judged_by("second", 30, batch=batch), batch=True)
    assert kept_rows(later) == kept_rows(whole)
    assert judgements(later) == {("second", 4)}


def test_another_judge_takes_over_and_reparse_tells_their_replies_apart(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = judge_server(serve), new_workspace()
    build(workspace, judged_by("second", 20))
    build(workspace, judged_by("third", 20))
    assert judgements(workspace) == {("third", 5)}
    assert server.num_judged == 40
    run_reparse(workspace, judged_by("second", 20), Console(quiet=True))
    assert judgements(workspace) == {("second", 2)}
    build(workspace, judged_by("second", 20))
    run_reparse(workspace, make_config(20), Console(quiet=True))
    assert judgements(workspace) == {(None, None)}
    build(workspace, judged_by("third", 20))
    assert judgements(workspace) == {("third", 5)}
    assert server.num_judged == 40


def test_merged_shards_of_which_one_was_judged_are_judged_whole(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = judge_server(serve)
    parts = [new_workspace(f"part{number}") for number in range(3)]
    for number, config in enumerate((judged_by("second", 200), make_config(200))):
        build(parts[number], config, shard=(number, 3))
    build(parts[2], judged_by("second", 200), shard=(2, 3))
    into = parts[0].root.parent / "joined"
    run_merge([part.root for part in parts], into)
    joined = open_workspace(into)
    build(joined, judged_by("second", 200))
    assert judgements(joined) == {("second", 2)}
    assert server.num_judged >= 200


def test_plan_prices_the_judging_of_what_was_kept_before(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    judge_server(serve)
    workspace = new_workspace()
    build(workspace, make_config(20))
    path = workspace.root / "judged.yaml"
    save_config(judged_by("second", 20), path)

    def judge_row() -> list[str]:
        arguments = ["plan", "--config", str(path), "-w", str(workspace.root), "--models", ""]
        said = CliRunner().invoke(make_app(), arguments, env={"COLUMNS": "120"}).output
        line = next(line for line in said.splitlines() if "judge: second" in line)
        return [cell.strip() for cell in line.split("│")]

    assert judge_row()[2] == "20"
    build(workspace, judged_by("second", 20))
    assert judge_row()[2] == "0"
