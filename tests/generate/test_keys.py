"""Every endpoint gets the key that is meant for it, and no other."""

from collections.abc import Callable

import orjson
import pytest
from aiohttp import web
from pydantic import ValidationError

from builder.config import BuildConfig, ConfigError, TeacherConfig
from builder.endpoint.client import Endpoint
from builder.endpoint.health import EndpointError
from builder.release.build import published_config
from builder.workspace import Workspace
from tests.generate.conftest import PLANTED_KEY, build, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]

JUDGE_KEY = "sk-judge-51d0aa93c2f7"
FREE = {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}


class KeyServer(FaultServer):
    """Notes which keys it was sent."""

    def __init__(self, faults: Faults | None = None) -> None:
        super().__init__(faults)
        self.keys: set[str] = set()

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        self.keys.add(request.headers.get("Authorization", "none"))
        return await super()._answer(request, body)


def two_servers(serve: Serve) -> tuple[KeyServer, KeyServer]:
    judge, teacher = serve(make=KeyServer), serve(make=KeyServer)
    assert isinstance(judge, KeyServer)
    assert isinstance(teacher, KeyServer)
    judge.faults.key = None
    return teacher, judge


def test_teacher_and_judge_get_the_keys_of_their_own_variables(
    serve: Serve, new_workspace: NewWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, judge = two_servers(serve)
    monkeypatch.setenv("JUDGE_KEY", JUDGE_KEY)
    asked = {
        "model": "second",
        "base_url": judge.url,
        "api_key_env": "JUDGE_KEY",
        "prices": FREE,
    }
    build(new_workspace(), make_config(12, judge=asked))
    assert teacher.keys == {f"Bearer {PLANTED_KEY}"}
    assert judge.keys == {f"Bearer {JUDGE_KEY}"}


def test_a_variable_that_is_not_set_sends_no_key(
    serve: Serve, new_workspace: NewWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, judge = two_servers(serve)
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    asked = {
        "model": "second",
        "base_url": judge.url,
        "api_key_env": "JUDGE_KEY",
        "prices": FREE,
    }
    build(new_workspace(), make_config(12, judge=asked))
    assert judge.keys == {"none"}


def test_the_teachers_key_goes_to_a_judge_elsewhere_only_when_that_is_said(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    teacher, judge = two_servers(serve)
    workspace = new_workspace()
    asked = {"model": "second", "base_url": judge.url, "prices": FREE}
    with pytest.raises(ConfigError, match=r"judge.api_key_env: not given.*nothing was sent"):
        build(workspace, make_config(12, judge=asked))
    assert (teacher.num_requests, judge.num_requests) == (0, 0)
    assert not workspace.config_path.exists()
    build(workspace, make_config(12, judge=asked | {"api_key_env": "OPENAI_API_KEY"}))
    assert judge.keys == {f"Bearer {PLANTED_KEY}"}


def test_a_missing_key_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(EndpointError, match=r"JUDGE_KEY is not set"):
        Endpoint(TeacherConfig(model="second", api_key_env="JUDGE_KEY"))


def test_a_wrong_key_is_named_by_its_variable(
    serve: Serve, new_workspace: NewWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(Faults(always="401"))
    monkeypatch.setenv("TEACHER_KEY", JUDGE_KEY)
    teacher = {"model": "scripted", "api_key_env": "TEACHER_KEY", "prices": FREE}
    with pytest.raises(EndpointError, match=r"answered 401.*TEACHER_KEY"):
        build(new_workspace(), make_config(12, teacher=teacher))


def test_a_key_in_place_of_a_variables_name_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError, match="api_key_env") as error:
        TeacherConfig(api_key_env=JUDGE_KEY)
    said = [entry["msg"] for entry in error.value.errors(include_url=False)]
    assert JUDGE_KEY not in " ".join(said)


def test_the_variable_leaves_the_workspace_alone_and_is_not_published() -> None:
    config = BuildConfig(teacher=TeacherConfig(api_key_env="MY_KEY"), judge=TeacherConfig())
    assert config.workspace_hash == BuildConfig().workspace_hash
    assert b"api_key_env" not in orjson.dumps(published_config(config))


@pytest.mark.parametrize("around", ["{}\n", " {} ", "\t{}\r\n"])
def test_white_space_around_a_key_is_left_out(
    serve: Serve, new_workspace: NewWorkspace, monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    server = serve(make=KeyServer)
    assert isinstance(server, KeyServer)
    monkeypatch.setenv("OPENAI_API_KEY", around.format(PLANTED_KEY))
    monkeypatch.setenv("OPENAI_ORG_ID", "org-0\n")
    build(new_workspace(), make_config(12))
    assert server.keys == {f"Bearer {PLANTED_KEY}"}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (f"\u201c{PLANTED_KEY}\u201d", r"character 1 of 25 .*left double quotation mark"),
        (f"\ufeff{PLANTED_KEY}", "byte order mark"),
        (f'"{PLANTED_KEY}"', "quotation mark"),
        (f"{PLANTED_KEY}'", r"character 24 of 24 .*apostrophe"),
        ("sk-planted 8f2c41d07be9", "character 11 of 23 .*space"),
        ("sk-planted\n8f2c41d07be9", r"control character U\+000A"),
        ("sk-planted\u00a08f2c41d07be9", "no-break space"),
        ("sk-planted\x1b8f2c41d07be9", r"control character U\+001B"),
        ("sk-planted\udcff8f2c41d07be9", r"U\+DCFF"),
    ],
)
def test_a_character_that_no_key_has_is_named_and_the_key_is_not(
    serve: Serve,
    new_workspace: NewWorkspace,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    what: str,
) -> None:
    server, workspace = serve(), new_workspace()
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(EndpointError, match=what) as caught:
        build(workspace, make_config(12))
    message = str(caught.value)
    assert message.startswith("OPENAI_API_KEY: ") and "\n" not in message
    assert "8f2c41d07be9" not in message
    assert server.num_requests == 0
