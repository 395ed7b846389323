"""A build with prompts and reply fields of its own, from the request to the published row."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from builder.api.release import release
from builder.config import BuildConfig
from builder.generate.reparse import run_reparse
from builder.ledger.ledger import LedgerError
from builder.publish.pulled_config import pulled_config
from builder.workspace import Workspace
from schemas.sample import Provenance
from tests.generate.conftest import build, kept_rows, make_config
from tests.generate.fault_server import Faults, FaultServer

Serve = Callable[..., FaultServer]
NewWorkspace = Callable[..., Workspace]
FIELDS = (
    "topic: {description: the broad topic, type: enum, choices: [food, animals]}\n"
    "note: {description: anything else, required: false}\n"
)


class WithFields(FaultServer):
    """Fills in the fields; leaves the optional one out, and now and then gets one wrong."""

    def __init__(self, faults: Faults | None = None) -> None:
        super().__init__(faults)
        self.systems: set[str] = set()
        self.num_corrected = 0

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = await super()._answer(request, body)
        asked = orjson.loads(body)
        self.systems.add(asked["messages"][0]["content"])
        assert isinstance(response, web.Response) and isinstance(response.body, bytes)
        answer = orjson.loads(response.body)
        message = answer["choices"][0]["message"]
        reply = orjson.loads(message["content"])
        is_correction = len(asked["messages"]) > 2
        self.num_corrected += is_correction
        is_wrong = self.num_requests % 5 == 0 and not is_correction
        reply["topic"] = "cars" if is_wrong else "food"
        if self.num_requests % 2:
            reply["note"] = 'a "quoted" ملاحظة'
        message["content"] = orjson.dumps(reply).decode()
        return web.Response(body=orjson.dumps(answer), content_type="application/json")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    directory = tmp_path / "own"
    (directory / "parts").mkdir(parents=True)
    (directory / "parts" / "role.j2").write_text("Be bold.\n")
    (directory / "fields.yaml").write_text(FIELDS)
    (directory / "variations.yaml").write_text("places: [on the moon]\n")
    return directory


def config_with(own: Path) -> BuildConfig:
    return make_config(24, prompts=str(own))


def extras(workspace: Workspace) -> list[str | None]:
    rows = kept_rows(workspace)
    return [Provenance.model_validate_json(provenance).extra for _, provenance in rows]


def test_what_the_teacher_writes_into_own_fields_is_published(
    serve: Serve, new_workspace: NewWorkspace, own: Path
) -> None:
    server, workspace = serve(make=WithFields), new_workspace()
    assert build(workspace, config_with(own)).num_kept == 24
    assert server.num_corrected > 0  # type: ignore[attr-defined]
    assert all("Be bold." in system for system in server.systems)  # type: ignore[attr-defined]
    rows = [Provenance.model_validate_json(row) for _, row in kept_rows(workspace)]
    assert all("on the moon" in row.task_idea for row in rows)
    values = [orjson.loads(row.extra or "") for row in rows]
    assert {tuple(value) for value in values} == {("topic", "note")}
    assert {value["note"] for value in values} == {None, 'a "quoted" ملاحظة'}
    before = extras(workspace)
    from rich.console import Console

    run_reparse(workspace, config_with(own), Console(quiet=True))
    assert extras(workspace) == before
    made = release("0.1.0", workspace.root).directory
    tables = [pq.read_table(path) for path in (made / "data" / "provenance").glob("*.parquet")]
    found = [text for table in tables for text in table["extra"].to_pylist()]
    assert sorted(found) == sorted(str(text) for text in before)
    assert "- name: extra\n" in (made / "README.md").read_text()
    assert '"provenance/extra"' in (made / "croissant.json").read_text()
    # The texts of the prompts stay here: their hashes go out, and whoever pulls is told.
    published = (made / "config.yaml").read_text()
    assert "Be bold" not in published and str(own) not in published
    config, reset = pulled_config(made / "config.yaml")
    assert config.prompts is None and "prompts" in reset


def test_a_release_without_own_fields_has_no_column_for_them(
    serve: Serve, new_workspace: NewWorkspace
) -> None:
    serve()
    workspace = new_workspace()
    build(workspace, make_config(12))
    assert all(b'"extra"' not in provenance for _, provenance in kept_rows(workspace))
    made = release("0.1.0", workspace.root).directory
    for path in (made / "data" / "provenance").glob("*.parquet"):
        assert "extra" not in pq.read_schema(path).names
    assert "has_extra" not in (made / "manifest.json").read_text()
    assert "prompts:" not in (made / "config.yaml").read_text()


def test_a_build_goes_on_with_the_same_prompts_alone(
    serve: Serve, new_workspace: NewWorkspace, own: Path
) -> None:
    server, workspace = serve(make=WithFields), new_workspace()
    build(workspace, config_with(own))
    num_asked = server.num_requests
    assert build(workspace, config_with(own)).num_kept == 24
    assert server.num_requests == num_asked
    (own / "parts" / "role.j2").write_text("Be shy.\n")
    with pytest.raises(LedgerError, match=r"prompts\.parts/role\.j2\), which defines the set"):
        build(workspace, config_with(own))
    with pytest.raises(LedgerError, match="prompts"):
        build(workspace, make_config(24))
    assert server.num_requests == num_asked
