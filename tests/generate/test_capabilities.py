"""What an endpoint takes is told by what it complains of, twice, not by what it repeats."""

from collections import Counter
from collections.abc import Callable

import orjson
import pytest
from aiohttp import web

from builder.endpoint.capabilities import (
    Capabilities,
    LearnedCapabilities,
    complaint,
    read_capabilities,
    write_capabilities,
)
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from tests.generate.conftest import build, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

ASKED = {"response_format": {"type": "json_schema"}, "temperature": 1.0}


class EchoServer(FaultServer):
    """Refuses a few requests for their image, with what `complain` makes of the request."""

    complain: Callable[[dict[str, object]], dict[str, object]]
    refused = range(20, 22)

    def __init__(self, faults: Faults | None = None) -> None:
        super().__init__(faults)
        self.formats: Counter[str] = Counter()

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        content = orjson.loads(body)
        self.formats[(content.get("response_format") or {"type": "text"})["type"]] += 1
        if self.num_requests in self.refused:
            return web.json_response(type(self).complain(content), status=422)
        return await super()._answer(request, body)


class RepeatsAll(EchoServer):
    """Repeats the whole request beside the complaint, as FastAPI's validation errors do."""

    @staticmethod
    def complain(content: dict[str, object]) -> dict[str, object]:
        wrong = {"loc": ["body", "messages"], "msg": "image could not be decoded"}
        return {"detail": [{**wrong, "input": content}]}


class NamesFormatOnce(EchoServer):
    """Names the format while refusing one image."""

    refused = range(20, 21)

    @staticmethod
    def complain(content: dict[str, object]) -> dict[str, object]:
        return {"error": {"message": "image could not be decoded for this response_format"}}


@pytest.mark.parametrize("make", [RepeatsAll, NamesFormatOnce])
def test_a_refusal_that_passes_changes_nothing(
    serve: Serve,
    new_workspace: NewWorkspace,
    caplog: pytest.LogCaptureFixture,
    make: type[EchoServer],
) -> None:
    server = serve(make=make)
    workspace = new_workspace()
    assert build(workspace, make_config(80, max_rounds=1)).num_kept == 80
    assert isinstance(server, EchoServer)
    assert set(server.formats) == {"json_schema"}
    assert server.num_requests <= 80 + len(make.refused) + 6
    assert caplog.text == ""
    with Ledger(workspace.ledger_path) as ledger:
        held = ledger.db.execute("SELECT count(*) FROM meta WHERE name LIKE 'abilities %'")
        assert held.fetchone() == (0,)


def test_a_format_that_is_refused_again_and_again_is_given_up_and_told_once(
    serve: Serve, new_workspace: NewWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    server, workspace = serve(Faults(formats=("json_object", "text"))), new_workspace()
    assert build(workspace, make_config(60)).num_kept == 60
    assert server.statuses[400] <= 24
    assert caplog.text.count("refuses response_format json_schema for model scripted") == 1
    num_refused = server.statuses[400]
    build(workspace, make_config(120))
    assert server.statuses[400] == num_refused


def test_two_requests_must_be_refused_for_the_same() -> None:
    remembered: list[tuple[Capabilities, str]] = []
    found = LearnedCapabilities("auto", Capabilities(), lambda *told: remembered.append(told))
    no_schema = orjson.dumps({"error": {"message": "bad", "param": "response_format"}})
    no_warmth = orjson.dumps({"error": {"message": "temperature is not supported"}})
    assert found.refused("a", Capabilities(), no_schema) == Capabilities("json_object")
    assert found.refused("a", Capabilities(), no_schema) == Capabilities("json_object")
    assert found.refused("b", Capabilities(), no_warmth) == Capabilities(takes_temperature=False)
    assert found.now == Capabilities()
    assert remembered == []
    found.refused("b", Capabilities(takes_temperature=False), no_schema)
    assert found.now == Capabilities("json_object")
    assert remembered == [(Capabilities("json_object"), "response_format json_schema")]


def test_what_is_written_down_is_read_back_and_what_earlier_versions_wrote_too() -> None:
    full = Capabilities(
        "text", "max_tokens", False, frozenset({"seed"}), frozenset({("image/webp", "image/png")})
    )
    for capabilities in (Capabilities(), Capabilities("json_object"), full):
        assert read_capabilities(write_capabilities(capabilities)) == capabilities
    earlier = '["json_object","max_tokens",true]'
    assert write_capabilities(read_capabilities(earlier)) == earlier


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"error": {"message": "Bad", "code": "no_schema", "param": "X"}}', "bad x no_schema"),
        (b'{"object": "error", "message": "Unknown field"}', "unknown field"),
        (b'{"error": "no such thing"}', "no such thing"),
        (b'{"detail": [{"loc": ["body", "a"], "msg": "Extra", "input": 1}]}', "extra body a"),
        (b"<html>guided</html>", "<html>guided</html>"),
        (
            b'{"response": {"status_code": 400, "body": {"error": {"message": "Late"}}}}',
            "late",
        ),
        (
            orjson.dumps({"message": f"1 error: {{'msg': 'bad', 'input': {ASKED}}}"}),
            "1 error: {'msg': 'bad', ",
        ),
        (orjson.dumps({"error": {"message": "Bad image"}, "request": ASKED}), "bad image"),
    ],
)
def test_a_complaint_is_the_message_the_parameter_and_the_code(body: bytes, wanted: str) -> None:
    assert complaint(body) == wanted
