"""plan, build, release and publish as functions: what a notebook does."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import build, plan, publish, release
from builder.api.build import parse_shard
from builder.config import BuildConfig, ConfigError, save_config
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.lexicon_teacher import running_teacher
from builder.publish.errors import PublishError
from builder.release.versions import VersionError
from builder.workspace import WorkspaceError, open_workspace
from schemas.errors import PolysceneError
from tests.hub_server import client_environment, running_hub

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "num_samples": 12,
    "languages": {"en": 1, "de": 1},
    "tolerance": 0.2,
    "images": {"embedder": "descriptor"},
}


@pytest.fixture(scope="module")
def teacher() -> Iterator[str]:
    with running_teacher() as url:
        yield url


@pytest.fixture
def workspace(tmp_path: Path, teacher: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of pictograms, and a teacher that knows them."""
    from builder.images.pictograms import load_pictograms

    monkeypatch.setenv("OPENAI_BASE_URL", teacher)
    opened = open_workspace(tmp_path / "workspace", create=True)
    with ImageStore(opened.images_dir) as store:
        for pictogram in load_pictograms()[::60]:
            for image in pictogram.images:
                store.add(image.content, licence="CC0-1.0", group=pictogram.concept)
    return opened.root


async def in_a_loop(workspace: Path):
    """As a cell of a notebook runs: plain calls, while the event loop of the kernel runs."""
    planned = plan(SETTINGS, workspace)
    summary = build(SETTINGS, workspace)
    return planned, summary, release(workspace=workspace, bump="minor")


def test_a_notebook_plans_builds_and_releases_without_a_word(
    workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    planned, summary, made = asyncio.run(in_a_loop(workspace))
    assert planned.num_jobs == sum(planned.by_cell().values()) == 12
    assert planned.by_language() == {"en": 6, "de": 6}
    assert planned.usd is not None and planned.usd > 0
    assert summary.balance.is_met and 10 <= summary.num_kept <= 12
    assert made.manifest.num_samples == summary.num_kept and made.is_new
    assert made.directory == workspace / "releases" / "0.1.0"
    again = plan(workspace=workspace)
    assert (again.num_jobs, again.num_tried) == (0, summary.num_jobs)
    assert capfd.readouterr() == ("", "")


def test_what_is_shown_is_what_the_command_shows(
    workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build(BuildConfig.model_validate(SETTINGS), workspace, show=True)
    said = capfd.readouterr()
    assert said.out == "" and "balance: " in said.err and "requests: " in said.err


def test_a_build_in_a_thread_needs_no_signals(workspace: Path) -> None:
    kept: list[int] = []
    thread = threading.Thread(target=lambda: kept.append(build(SETTINGS, workspace).num_kept))
    thread.start()
    thread.join(60)
    assert kept and kept[0] >= 10


def test_an_interrupted_cell_keeps_what_came_in_and_goes_on(workspace: Path) -> None:
    settings = {**SETTINGS, "num_samples": 3_000, "pace": {"max_in_flight": 2}}
    ledger = open_workspace(workspace).ledger_path

    def interrupt_once_it_runs() -> None:
        while not ledger.exists() or num_outcomes() < 5:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    def num_outcomes() -> int:
        try:
            with Ledger(ledger) as opened:
                return sum(opened.tried_counts().values())
        except PolysceneError:
            return 0

    async def cell() -> None:
        build(settings, workspace)

    threading.Thread(target=interrupt_once_it_runs, daemon=True).start()
    loop = asyncio.new_event_loop()  # as a kernel runs it: SIGINT raises in the cell
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
    finally:
        loop.close()
    left = plan(settings, workspace)
    assert 5 <= left.num_tried < 3_000
    assert not [t for t in threading.enumerate() if t.name.startswith("build")]
    with open_workspace(workspace).locked():
        pass


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda at: plan({"nmu_samples": 3}, at), ConfigError, "did you mean `num_samples`?"),
        (lambda at: plan(at / "absent.yaml", at), ConfigError, "absent.yaml: No such file"),
        (lambda at: plan(workspace=at), ConfigError, "Name a configuration"),
        (lambda at: build({"num_samples": 0}, at), ConfigError, "must be greater than 0"),
        (lambda at: build({}, at, shard="5/4"), ConfigError, "Write a part such as 1/4"),
        (lambda at: release(workspace=at), VersionError, "Give either"),
        (lambda at: release("0.1.0", at / "none"), WorkspaceError, "not a workspace"),
        (lambda at: publish("street-scenes", workspace=at), PublishError, "names no owner"),
        (lambda at: publish("me/x", workspace=at / "none"), WorkspaceError, "not a workspace"),
    ],
)
def test_mistakes_are_errors_of_ours(tmp_path: Path, call, error, said: str) -> None:
    with pytest.raises(error, match=said.replace("?", r"\?")) as caught:
        call(tmp_path)
    assert isinstance(caught.value, PolysceneError)


@pytest.mark.parametrize(
    "repo_id",
    ["street-scenes", "a/b/c", "/x", "x/", "me/a b", "me/..", "-a/b", "https://hub.example/me/x"],
)
def test_a_name_no_repository_can_have_is_refused_before_the_network(
    repo_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.socket.connect", None)  # whoever connects fails otherwise
    with pytest.raises(PublishError, match="Write OWNER/NAME"):
        publish(repo_id, workspace=tmp_path)


def test_the_functions_are_typed_and_described() -> None:
    for function in (plan, build, release, publish):
        signature = inspect.signature(function)
        assert "workspace" in signature.parameters
        assert signature.return_annotation is not inspect.Signature.empty
    assert parse_shard("2/8") == (1, 8)


def test_rooms_that_can_be_called_are_still_rooms() -> None:
    """`builder.release` is both; what is imported from it stays what it was."""
    import builder
    import builder.release.versions

    assert builder.release is release
    assert builder.release.versions.Version.parse("1.2.3").minor == 2
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = builder.nothing  # pyright: ignore[reportAttributeAccessIssue]
    assert builder.__version__.count(".") == 2


_CELLS = """
import asyncio
from builder import build, plan, publish, release

async def cell():
    print(plan("build.yaml", "w").num_jobs)
    print(build("build.yaml", "w").balance.is_met)
    print(release("0.1.0", "w").manifest.version)
    done = publish("demo/street-scenes", workspace="w")
    print(done.made_commit, done.version.tag)
    print(publish("demo/street-scenes", workspace="w").made_commit)

asyncio.run(cell())
"""


def test_a_version_is_published_from_python(workspace: Path, tmp_path: Path, teacher: str) -> None:
    workspace.rename(tmp_path / "w")
    config = {**SETTINGS, "release": {"repo_id": "demo/street-scenes"}}
    save_config(BuildConfig.model_validate(config), tmp_path / "build.yaml")
    with running_hub(tmp_path / "hub") as hub:
        environment = client_environment(hub.url, tmp_path / "home")
        done = subprocess.run(
            [sys.executable, "-c", _CELLS],
            cwd=tmp_path,
            env={**environment, "OPENAI_BASE_URL": teacher, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.stderr == ""
    assert done.stdout.split() == ["12", "True", "0.1.0", "True", "v0.1.0", "False"]
