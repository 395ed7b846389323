"""Several teachers, each some of the jobs; several addresses of one model, each at its own pace."""

import asyncio
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from rich.console import Console

from builder.api.plan import plan
from builder.balance.run_report import RUN_NAME
from builder.config import BuildConfig, ConfigError, config_from, load_config, save_config
from builder.endpoint.health import DeadEndpoint, EndpointError, SendError
from builder.endpoint.replicas import ReplicaStop
from builder.endpoint.stop import Stop
from builder.generate.session import BuildOptions, run_build
from builder.ledger.ledger import Ledger, LedgerError
from builder.plan.teachers import share_of, writer_of
from builder.prompts.specimen import specimen_job
from builder.release.build import published_config
from builder.workspace import Workspace
from schemas.sample import Provenance
from schemas.vocabulary import CELLS
from tests.generate.batch_server import BatchServer
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]
PRICES = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
DEARER = {"input_usd_per_mtok": 10.0, "output_usd_per_mtok": 20.0}


def teachers(*, weight: float = 1, **shared: object) -> list[dict[str, object]]:
    return [
        {"name": "near", "model": "small", "prices": PRICES, "weight": weight, **shared},
        {"name": "far", "model": "large", "prices": DEARER, **shared},
        {"name": "tokyo", "model": "ja-7b", "prices": PRICES, "languages": ["ja"], **shared},
    ]


def config_with(num_samples: int = 48, **fields: object) -> BuildConfig:
    return make_config(num_samples, **{"teacher": {}, "teachers": teachers(), **fields})


def models(workspace: Workspace) -> Counter[tuple[str, bool]]:
    rows = [Provenance.model_validate_json(row) for _, row in kept_rows(workspace)]
    return Counter((row.teacher_model, row.language == "ja") for row in rows)


def with_replicas(*urls: str, **fields: object) -> BuildConfig:
    teacher = {"model": "scripted", "timeout_s": 2, "prices": PRICES}
    return make_config(60, teacher={**teacher, "base_url": urls[0], "replicas": urls[1:]}, **fields)


def test_each_teacher_gets_its_share_of_the_jobs_and_its_own_languages(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace = new_workspace()
    build(workspace, config_with(120, teachers=teachers(weight=3)))
    counts = models(workspace)
    assert set(counts) == {("small", False), ("large", False), ("ja-7b", True)}
    assert counts["small", False] > 1.5 * counts["large", False]
    told = orjson.loads((workspace.root / RUN_NAME).read_bytes())
    assert "ja-7b" in orjson.dumps(told).decode()
    with Ledger(workspace.ledger_path) as ledger:
        cost = dict(
            ledger.db.execute(
                "SELECT model, sum(cost_usd) / count(*) FROM request JOIN usage "
                "ON request_id = request.id GROUP BY model"
            )
        )
    assert cost["large"] == pytest.approx(10 * cost["small"])


def test_the_same_jobs_go_to_the_same_teachers_when_a_run_goes_on(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server = serve()
    whole, parted = new_workspace("whole"), new_workspace("parted")
    build(whole, config_with())
    num_asked = server.num_requests
    with pytest.raises(Exception, match="--max-requests"):
        build(parted, config_with(), max_requests=20)
    build(parted, config_with())
    assert server.num_requests == 2 * num_asked
    assert kept_rows(whole) == kept_rows(parted)


def test_weights_decide_the_shares_whatever_the_number_of_teachers() -> None:
    config = config_with(teachers=teachers(weight=3))
    job = specimen_job(CELLS[0], "en")
    roles = Counter(writer_of(config, replace(job, id=f"{n:024x}"))[0] for n in range(4_000))
    assert roles["teacher_near"] / 4_000 == pytest.approx(0.75, abs=0.03)
    assert share_of(config, "teacher_near", "en") == 0.75
    assert share_of(config, "teacher_near", "ja") == 0
    # A teacher that is added takes jobs from the others, and moves none between them.
    more = [*teachers(weight=3), {"name": "new", "model": "new"}]
    larger = config_with(teachers=more)
    for n in range(300):
        one = replace(job, id=f"{n:024x}")
        assert writer_of(larger, one)[0] in {"teacher_new", writer_of(config, one)[0]}


def test_weights_define_the_set_and_addresses_do_not(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    server, workspace = serve(), new_workspace()
    config = config_with()
    build(workspace, config)
    moved = [{**one, "base_url": server.url, "timeout_s": 9} for one in teachers()]
    assert config_with(teachers=moved).workspace_hash == config.workspace_hash
    with pytest.raises(LedgerError, match=r"teachers\.near\.weight"):
        build(workspace, config_with(teachers=teachers(weight=2)))
    with_more = make_config(48, teacher={"base_url": "http://a/v1", "replicas": ["http://b/v1"]})
    assert with_more.workspace_hash == make_config(48, teacher={}).workspace_hash


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"teacher": {"model": "x"}}, "put it into the list"),
        ({"teachers": [{"model": "x"}]}, "name"),
        ({"teachers": [{"name": "a"}, {"name": "a"}]}, "a name is given twice"),
        ({"teachers": [{"name": "a", "languages": ["ja"]}]}, "none writes in"),
        ({"teachers": [{"name": "a", "languages": ["xx"]}]}, "xx not among the 93"),
        ({"teachers": [{"name": "A"}]}, "must match"),
        ({"teachers": [{"name": "a", "weight": 0}]}, "greater than 0"),
        (
            {"teachers": [{"name": "a", "prices": PRICES}, {"name": "b", "prices": DEARER}]},
            "two prices",
        ),
    ],
)
def test_teachers_that_do_not_fit_are_refused(fields: dict[str, object], words: str) -> None:
    content = {"teachers": [{"name": "a"}], **fields}
    with pytest.raises(ConfigError, match=words):
        config_from(content)


def test_replicas_that_repeat_are_refused() -> None:
    for teacher in (
        {"base_url": "http://a/v1", "replicas": ["http://a/v1/"]},
        {"replicas": ["http://a/v1"]},
    ):
        with pytest.raises(ConfigError, match="replicas"):
            config_from({"teacher": teacher})


def test_a_configuration_with_teachers_reads_back_and_is_published_without_addresses(
    tmp_path: Path,
) -> None:
    given = [{**one, "base_url": "http://secret-host/v1"} for one in teachers()]
    config = config_with(teachers=given)
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    shown = published_config(config)
    assert "secret-host" not in str(shown) and "teacher" not in shown
    assert [one["name"] for one in shown["teachers"]] == ["near", "far", "tokyo"]
    assert {"teachers", "replicas"}.isdisjoint(str(published_config(make_config())).split("'"))


def test_the_plan_has_a_price_for_each_teacher(tmp_path: Path) -> None:
    planned = plan(config_with(1_200, teachers=teachers(weight=3)), tmp_path / "none")
    by_model = {price.estimate.model: price.estimate for price in planned.prices[:3]}
    assert by_model["small"].num_calls == pytest.approx(3 * by_model["large"].num_calls, rel=0.1)
    total = sum(price.estimate.usd or 0 for price in planned.prices[:3])
    assert planned.usd == pytest.approx(total)


def test_a_key_goes_to_no_other_address_unasked(serve: Serve, new_workspace: NewWorkspace) -> None:
    server, workspace = serve(), new_workspace()
    two = [{"name": "a", "model": "a"}, {"name": "b", "model": "b", "base_url": server.url}]
    with pytest.raises(ConfigError, match=r"teachers\.b\.api_key_env"):
        build(workspace, config_with(teachers=two))
    assert server.num_requests == 0


def test_each_teacher_has_batches_of_its_own(serve: Serve, new_workspace: NewWorkspace) -> None:
    serve(make=BatchServer)
    workspace = new_workspace()
    batch = {"poll_s": 0.05}
    build(workspace, config_with(24, batch=batch), batch=True)
    assert sum(models(workspace).values()) == 24 and len(models(workspace)) == 3
    with Ledger(workspace.ledger_path) as ledger:
        roles = {role for (role,) in ledger.db.execute("SELECT DISTINCT role FROM batch")}
    assert roles == {"teacher_near", "teacher_far", "teacher_tokyo"}


def test_replicas_share_the_requests_of_a_teacher(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    one, two = serve(Faults(latency_s=0.02)), serve(Faults(latency_s=0.02))
    workspace = new_workspace()
    assert build(workspace, with_replicas(one.url, two.url)).num_kept == 60
    assert one.num_requests + two.num_requests == 60
    assert min(one.num_requests, two.num_requests) > 15


class Dying(FaultServer):
    """Answers so many requests, then with one fault for ever."""

    num_good = 5
    fault = "503"

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.num_requests > self.num_good:
            self.faults.always = self.fault
        return await super()._answer(request, body)


class Hanging(Dying):
    num_good = 0
    fault = "timeout"


class Locked(Dying):
    num_good = 0

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        return web.json_response({"error": {"message": "bad key"}}, status=401)


@pytest.mark.parametrize("kind", [Dying, Hanging, Locked])
def test_a_replica_that_is_given_up_hands_its_requests_to_the_other(
    serve: Serve, new_workspace: NewWorkspace, kind: type[FaultServer]
) -> None:
    bad, good = serve(Faults(latency_s=0.02), make=kind), serve(Faults(latency_s=0.05))
    workspace, said = new_workspace(), io.StringIO()
    pace = {"max_in_flight": 8, "breaker_window_s": 1, "max_attempts": 3}
    config = with_replicas(bad.url, good.url, pace=pace)
    console = Console(file=said, width=500)
    assert run_build(workspace, config, BuildOptions(), console).num_kept == 60
    assert not {reason for reason in _reasons(workspace) if reason}
    if kind is Locked:
        assert "given up, its requests go to the other replica" in said.getvalue()
    with Ledger(workspace.ledger_path) as ledger:
        num_twice = ledger.db.execute(
            "SELECT count(*) - count(DISTINCT job_id) FROM request WHERE kind = 'sample'"
        ).fetchone()[0]
    assert num_twice == 0


def test_only_the_last_replica_stops_the_run(serve: Serve, new_workspace: NewWorkspace) -> None:
    one, two = serve(make=Dying), serve(make=Dying)
    one.num_good, two.num_good = 5, 10  # type: ignore[attr-defined]
    workspace = new_workspace()
    pace = {"max_in_flight": 8, "breaker_window_s": 0.5}
    with pytest.raises(DeadEndpoint, match="nothing but failures"):
        build(workspace, with_replicas(one.url, two.url, pace=pace))
    for server in (one, two):
        server.num_good, server.faults.always = 10**6, None  # type: ignore[attr-defined]
    assert build(workspace, with_replicas(one.url, two.url, pace=pace)).num_kept == 60


def test_a_key_that_no_replica_takes_stops_the_run(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    one, two = serve(make=Locked), serve(make=Locked)
    with pytest.raises(EndpointError, match="Check OPENAI_API_KEY"):
        build(new_workspace(), with_replicas(one.url, two.url))


def _reasons(workspace: Workspace) -> set[str]:
    with Ledger(workspace.ledger_path) as ledger:
        return {reason for (reason,) in ledger.db.execute("SELECT DISTINCT reason FROM outcome")}


def test_a_call_that_hangs_on_a_replica_that_was_given_up_is_let_go() -> None:
    async def give_one_up() -> None:
        run, siblings = Stop(), []
        one, two = (
            ReplicaStop(run, name, siblings, lambda line: None, grace_s=0.1) for name in "ab"
        )
        one.set(DeadEndpoint("dead"))
        assert one.is_set and not run.is_set and not two.is_set
        assert await one.while_useful(asyncio.sleep(0.01, "late")) == "late"
        with pytest.raises(SendError, match="a was given up"):
            await one.while_useful(asyncio.sleep(60))
        two.set(DeadEndpoint("dead too"))
        assert str(run.error) == "dead too"

    async def stop_all() -> None:
        run, siblings = Stop(), []
        one, two = (ReplicaStop(run, name, siblings, lambda line: None) for name in "ab")
        one.set(None)  # a signal
        assert run.is_set and run.is_interrupted and two.is_set

    asyncio.run(give_one_up())
    asyncio.run(stop_all())
