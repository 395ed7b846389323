"""An endpoint that hangs is given up within a minute; one that is only slow is waited for."""

import asyncio
import io
import socket
import time
from collections.abc import Callable

import pytest
from aiohttp import web
from rich.console import Console

from builder.config import PaceConfig, TeacherConfig
from builder.endpoint.client import CONNECT_TIMEOUT_S, Endpoint
from builder.endpoint.health import GRACE_S, LIST_TIMEOUT_S, DeadEndpoint, SendError
from builder.endpoint.no_response import NoResponseWatch
from builder.endpoint.pace import Pace
from builder.endpoint.stop import Stop
from builder.generate.session import BuildOptions, run_build
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from schemas.errors import PolysceneError
from tests.generate.conftest import build, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

PATIENT_TEACHER = {"model": "scripted", "timeout_s": 60}


class WithModels(FaultServer):
    """Lists its model, whatever becomes of calls."""

    def add_routes(self, app: web.Application) -> None:
        super().add_routes(app)
        app.router.add_get("/v1/models", self._models)

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "scripted"}]})


class SlowLater(FaultServer):
    """Answers at once at first, then slowly; has no list of models."""

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.num_requests > 8:
            await asyncio.sleep(3)
        return await super()._answer(request, body)


def test_by_default_an_endpoint_that_hangs_is_given_up_within_a_minute() -> None:
    assert PaceConfig().no_response_timeout_s + LIST_TIMEOUT_S + GRACE_S < 58


@pytest.mark.parametrize("fault", ["timeout", "slow"])
def test_an_endpoint_that_hangs_is_given_up_long_before_its_calls_time_out(
    serve: Serve, new_workspace: NewWorkspace, fault: str
) -> None:
    serve(Faults(always=fault))
    workspace = new_workspace()
    config = make_config(60, teacher=PATIENT_TEACHER, pace={"no_response_timeout_s": 1})
    started = time.monotonic()
    with pytest.raises(
        DeadEndpoint,
        match=r"not responded to any call under way for 1 s.*status 404.*no_response_timeout_s",
    ):
        build(workspace, config)
    assert time.monotonic() - started < 30  # calls may take a minute
    with Ledger(workspace.ledger_path) as ledger:
        assert ledger.drop_counts() == {}


def test_a_slow_model_on_a_server_that_lists_it_is_waited_for_and_told_so(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(Faults(latency_s=3), WithModels)
    said = io.StringIO()
    config = make_config(
        16, teacher=PATIENT_TEACHER, pace={"no_response_timeout_s": 0.5, "initial_in_flight": 16}
    )
    summary = run_build(new_workspace(), config, BuildOptions(), Console(file=said, width=400))
    assert summary.num_kept == 16
    assert said.getvalue().count("taken to be slow and waited for") == 1


def test_an_endpoint_that_answered_before_may_be_slow_without_a_list_of_models(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve(make=SlowLater)
    config = make_config(
        20, teacher=PATIENT_TEACHER, pace={"no_response_timeout_s": 1, "max_in_flight": 16}
    )
    assert build(new_workspace(), config).num_kept == 20


def test_a_server_that_takes_connections_and_says_nothing_at_all_has_hung() -> None:
    async def scenario() -> PolysceneError | None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        teacher = TeacherConfig(model="m", base_url=f"http://127.0.0.1:{port}/v1")
        endpoint = Endpoint(teacher, key="no-secret-at-all")
        stop = Stop()
        pace = Pace(PaceConfig(no_response_timeout_s=0.5), stop)
        watch = NoResponseWatch(endpoint, pace, stop, print, list_timeout_s=0.5)
        await pace.enter()
        pace.answered()  # even one that worked before
        await asyncio.wait_for(watch.run(), 10)
        await endpoint.close()
        server.close()
        return stop.error

    error = asyncio.run(scenario())
    assert isinstance(error, DeadEndpoint)
    assert "does not list its models either" in str(error)
    assert "no answer within 0.5 s" in str(error)


def test_a_connection_that_is_not_made_is_told_with_the_time_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("builder.endpoint.client.CONNECT_TIMEOUT_S", 0.4)

    async def scenario() -> SendError:
        # Where its backlog is full, Linux leaves further connections unanswered.
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        teacher = TeacherConfig(model="m", base_url=f"http://127.0.0.1:{port}/v1", timeout_s=40)
        endpoint = Endpoint(teacher, key="no-secret-at-all")
        with pytest.raises(SendError) as caught:
            await endpoint.send(b"{}")
        await endpoint.close()
        for each in (full, *waiting):
            each.close()
        return caught.value

    error = asyncio.run(scenario())
    assert error.what == "connect_timeout"
    assert "no connection within 0.4 s" in error.message
    assert CONNECT_TIMEOUT_S == 15
