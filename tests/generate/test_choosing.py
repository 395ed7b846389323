"""The judge in a forced choice: asked once, and believed where it looks at the candidates."""

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from rich.console import Console

from builder.config import BuildConfig, ConfigError, config_from
from builder.cost.budget import BudgetReached
from builder.gates_config import GatesConfig
from builder.generate.merge import run_merge
from builder.generate.reparse import run_reparse
from builder.ledger.choices import (
    ACCEPTS_NEGATIVE,
    PREFERS_NEGATIVE,
    choice_report,
    read_choices,
)
from builder.ledger.gates import choices_made, judge_problems
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace, open_workspace
from tests.generate.batch_server import BatchServer
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import FaultServer
from tests.generate.replies import completion

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

NUM = 40
PRICES = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 3}
_CANDIDATES = re.compile(r"^Candidates: (.*)$", re.MULTILINE)


class ChoosingServer(FaultServer):
    """Chooses the positive, which it was told, but for texts it is told to be wrong about."""

    def __init__(self, faults: Any = None) -> None:
        super().__init__(faults)
        self.positives: set[str] = set()
        self.prefers: set[str] = set()
        self.accepts: set[str] = set()
        self.always: int | None = None
        self.num_choices = 0

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        choice = self.choice(orjson.loads(body))
        return await super()._answer(request, body) if choice is None else web.json_response(choice)

    def choice(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """The reply to a request that gives candidates; None for any other."""
        found = _CANDIDATES.search(asked["messages"][1]["content"][0]["text"])
        if found is None:
            return None
        self.num_choices += 1
        return completion(orjson.dumps(self._choose(orjson.loads(found[1]))).decode())

    def _choose(self, candidates: list[dict[str, Any]]) -> dict[str, Any]:
        positive = next((c for c in candidates if c["text"] in self.positives), candidates[0])
        negative = next(c for c in candidates if c is not positive)
        best = negative if positive["text"] in self.prefers else positive
        if self.always is not None:
            best = candidates[self.always]
        also = [negative["number"]] if positive["text"] in self.accepts else []
        return {"reason": "It fits.", "best": best["number"], "also_right": also}


class BatchChoosingServer(ChoosingServer, BatchServer):
    """The same by the Batch API."""

    def _result(self, request: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        choice = self.choice(request["body"])
        return super()._result(request) if choice is None else (200, choice)


def chosen(num: int = NUM, **gates: object) -> BuildConfig:
    return make_config(
        num,
        judge={"model": "chooser", "prices": PRICES},
        gates={"judge_choice": True, **gates},
        task_shares={"vqa": 1},
        max_rounds=1,
    )


@pytest.fixture
def server(serve: Serve) -> ChoosingServer:
    server = serve(make=ChoosingServer)
    assert isinstance(server, ChoosingServer)
    return server


@pytest.fixture
def built(server: ChoosingServer, new_workspace: NewWorkspace) -> Workspace:
    """Kept samples without a judge, whose positives the server knows from then on."""
    workspace = new_workspace()
    build(workspace, make_config(NUM, task_shares={"vqa": 1}, max_rounds=1))
    server.positives = set(positives(workspace))
    return workspace


def positives(workspace: Workspace) -> list[str]:
    return sorted(orjson.loads(sample)["positive_text"] for sample, _ in kept_rows(workspace))


def drops(workspace: Workspace) -> dict[str, int]:
    with Ledger(workspace.ledger_path) as ledger:
        return ledger.drop_counts()


def problems(workspace: Workspace, gates: GatesConfig) -> list[str]:
    with Ledger(workspace.ledger_path) as ledger:
        lines = judge_problems(ledger, gates)
    if gates.judge_choice:  # the scripted judge gives one score throughout, and is named for it
        assert "gave the score 4" in lines.pop(0)
    return lines


def test_samples_go_whose_negative_the_judge_prefers_or_calls_right_and_come_back(
    server: ChoosingServer, built: Workspace
) -> None:
    texts = positives(built)
    assert len(set(texts)) == NUM
    server.prefers, server.accepts = set(texts[:3]), set(texts[3:5])
    build(built, chosen())
    assert (server.num_choices, len(positives(built))) == (NUM, NUM - 5)
    assert set(positives(built)) == set(texts[5:])
    assert drops(built) == {PREFERS_NEGATIVE: 3, ACCEPTS_NEGATIVE: 2}
    assert problems(built, chosen().gates) == []
    num_requests = server.num_requests
    build(built, make_config(NUM, task_shares={"vqa": 1}, max_rounds=1))
    assert (len(positives(built)), server.num_requests) == (NUM, num_requests)


def test_reparse_applies_the_gate_anew_without_a_request(
    server: ChoosingServer, built: Workspace
) -> None:
    server.prefers = set(positives(built)[:3])
    build(built, chosen())
    kept, num_requests = positives(built), server.num_requests
    run_reparse(built, chosen(), Console(quiet=True))
    assert positives(built) == kept
    run_reparse(built, chosen(judge_choice=False), Console(quiet=True))
    assert len(positives(built)) == NUM
    run_reparse(built, chosen(), Console(quiet=True))
    assert (positives(built), server.num_requests) == (kept, num_requests)


def test_a_judge_that_is_there_from_the_start_drops_the_same(
    server: ChoosingServer, built: Workspace, new_workspace: NewWorkspace
) -> None:
    server.prefers = set(positives(built)[:3])
    build(built, chosen())
    whole = new_workspace("whole")
    build(whole, chosen())
    assert positives(whole) == positives(built)


def test_choices_that_come_in_batches_drop_the_same(
    server: ChoosingServer, built: Workspace, serve: Serve
) -> None:
    texts = positives(built)
    batches = serve(make=BatchChoosingServer)
    assert isinstance(batches, BatchChoosingServer)
    batches.positives, batches.prefers = set(texts), set(texts[:3])
    config = chosen()
    config.batch.poll_s = 0.05
    build(built, config, batch=True)
    assert positives(built) == texts[3:] and batches.num_choices == NUM
    assert sum(batches.lines_a_batch) == 2 * NUM  # a score and a choice for each


def test_what_several_machines_made_is_put_to_the_judge_once_it_is_merged(
    server: ChoosingServer, built: Workspace, new_workspace: NewWorkspace
) -> None:
    server.prefers = set(positives(built)[:3])
    parts = [new_workspace(f"part{index}") for index in range(2)]
    for index, part in enumerate(parts):
        build(part, chosen(), shard=(index, 2))
    joined = built.root.parent / "joined"
    run_merge([part.root for part in parts], joined)
    assert server.num_choices == 0  # a shard ends before its round does
    merged = open_workspace(joined)
    build(merged, chosen())
    assert server.num_choices == NUM
    assert set(positives(merged)) == set(positives(built)) - server.prefers
    assert drops(merged) == {PREFERS_NEGATIVE: 3}


def test_stopped_choosing_goes_on_without_asking_twice(
    server: ChoosingServer, built: Workspace
) -> None:
    server.prefers = set(positives(built)[:3])
    with Ledger(built.ledger_path) as ledger:
        sent = ledger.spent().num_requests
    for more in (NUM + 7, NUM + 19):  # the scores of all come first
        with pytest.raises(BudgetReached):
            build(built, chosen(), max_requests=sent + more)
        assert len(positives(built)) == NUM  # a gate looks at all choices or none
    build(built, chosen())
    assert server.num_choices == NUM
    assert drops(built) == {PREFERS_NEGATIVE: 3}


def test_a_choice_that_came_before_a_kill_is_not_paid_again(
    server: ChoosingServer, built: Workspace
) -> None:
    server.prefers = set(positives(built)[:3])
    build(built, chosen())
    with Ledger(built.ledger_path) as ledger:
        before = read_choices(ledger)
        ledger.db.execute("DELETE FROM choice")  # as a kill leaves it: only the replies are there
    build(built, chosen())
    with Ledger(built.ledger_path) as ledger:
        assert read_choices(ledger) == before
    assert server.num_choices == NUM


@pytest.mark.parametrize("position", [0, 1])
def test_a_judge_that_always_takes_one_place_is_named_and_drops_nothing(
    server: ChoosingServer, built: Workspace, position: int
) -> None:
    server.always = position
    build(built, chosen())
    assert len(positives(built)) == NUM and PREFERS_NEGATIVE not in drops(built)
    (line,) = problems(built, chosen().gates)
    assert re.match(rf"judge chooser chose candidate {position + 1} in 100% of 40 choices", line)
    assert "its choices carry no information" in line and "Name another model" in line
    with Ledger(built.ledger_path) as ledger:
        model, report = choices_made(ledger)
    assert model == "chooser" and not report.is_informative
    assert report.positions[position].chosen == 1 and report.positions[position].low > 0.9
    assert 0.3 < report.positions[position].expected < 0.7


def test_a_judge_that_calls_every_negative_right_is_named(
    server: ChoosingServer, built: Workspace
) -> None:
    server.accepts, server.prefers = set(positives(built)), set(positives(built)[:2])
    build(built, chosen())
    assert drops(built) == {PREFERS_NEGATIVE: 2}
    (line,) = problems(built, chosen().gates)
    assert "calls a hard negative right as well in 95% of 40 choices" in line


def test_a_judge_that_always_gives_one_score_is_named_and_drops_nothing(
    server: ChoosingServer, built: Workspace
) -> None:
    config = chosen(judge_choice=False, judge_min_score=5)
    build(built, config)  # the scripted judge gives 4 throughout
    assert len(positives(built)) == NUM
    (line,) = problems(built, config.gates)
    assert re.match(r"judge chooser gave the score 4 for every criterion of all 40 samples", line)
    assert "no sample is dropped for them. Name another model under `judge`" in line


def test_another_judge_is_asked_anew(server: ChoosingServer, built: Workspace) -> None:
    server.prefers = set(positives(built)[:3])
    build(built, chosen())
    config = chosen()
    assert config.judge is not None
    config.judge.model = "second"
    server.prefers = set()
    build(built, config)
    assert server.num_choices == 2 * NUM  # those that the first one dropped among them
    assert len(positives(built)) == NUM
    with Ledger(built.ledger_path) as ledger:
        assert {choice.model for choice in read_choices(ledger)} == {"second"}


def test_candidates_stand_in_an_order_that_does_not_tell_which_is_which(
    server: ChoosingServer, built: Workspace
) -> None:
    build(built, chosen())
    with Ledger(built.ledger_path) as ledger:
        report = choice_report(read_choices(ledger))
    assert report.hits == 1 and report.is_informative
    assert all(0.3 < share.expected < 0.7 for share in report.positions)


def test_choices_without_a_judge_are_refused_before_a_request() -> None:
    with pytest.raises(ConfigError, match=r"judge_choice needs a judge\. Name a model under"):
        config_from({"gates": {"judge_choice": True}})
