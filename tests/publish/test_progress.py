"""Bytes are counted while they move: plain and Xet uploads, and downloads."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from builder.local_hub import Limits
from builder.publish import DatasetRepo, publish
from builder.publish.fetch import fetch_version
from builder.publish.progress import ByteCount
from builder.publish.rollback import manifest_json
from builder.release.lineage import release_sha256
from builder.release.shards import file_sha256
from builder.workspace import Workspace
from schemas.manifest import FileEntry, read_manifest
from tests.hub_server import RunningHub, running_hub
from tests.publish.conftest import FIRST, repo_named, the_release
from tests.publish.faulty_hub import Fault, FaultyHub

# The official client uploads with a keyword its own HTTP library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

LARGE_BYTES = 24_000_000
PART_BYTES = 8 << 20
BYTES_PER_SECOND = 20_000_000


def slow(app: ASGIApp) -> ASGIApp:
    """A Hub at the end of a thin line, both ways."""

    async def slowed(scope: Scope, receive: Receive, send: Send) -> None:
        async def slow_receive() -> Message:
            message = await receive()
            await asyncio.sleep(len(message.get("body", b"")) / BYTES_PER_SECOND)
            return message

        async def slow_send(message: Message) -> None:
            await asyncio.sleep(len(message.get("body", b"")) / BYTES_PER_SECOND)
            await send(message)

        await app(scope, slow_receive, slow_send)

    return slowed


@pytest.fixture(scope="module")
def thin_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    root = tmp_path_factory.mktemp("thin") / "hub"
    with running_hub(root, limits=Limits(part_bytes=PART_BYTES), wrap=slow) as running:
        yield running


@pytest.fixture
def directory(releases: Workspace, tmp_path: Path) -> Path:
    """A release of which one file is nearly all."""
    target = tmp_path / "0.1.0"
    shutil.copytree(the_release(releases), target)
    (target / "plots" / "large.png").write_bytes(os.urandom(LARGE_BYTES))
    manifest = read_manifest(target)
    manifest.files.append(
        FileEntry(
            path="plots/large.png",
            num_bytes=LARGE_BYTES,
            sha256=file_sha256(target / "plots" / "large.png"),
        )
    )
    (target / "manifest.json").chmod(0o644)
    (target / "manifest.json").write_bytes(manifest_json(manifest))
    return target


@dataclass
class Heard:
    """What was told of a stage."""

    told: dict[str, list[int]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        self.told.setdefault(stage, []).append(done)
        self.totals[stage] = total

    def check(self, stage: str) -> None:
        """Grew from nothing to everything, and in the middle of the one large file as well."""
        done, total = self.told[stage], self.totals[stage]
        assert done[0] == 0 and done[-1] == total >= LARGE_BYTES
        assert done == sorted(done)
        small = total - LARGE_BYTES
        inside = [num for num in done if small < num < LARGE_BYTES]
        assert len(inside) >= 3, done


@pytest.mark.parametrize("xet", [True, False])
def test_an_upload_is_told_of_while_one_file_is_under_way(
    thin_hub: RunningHub,
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    xet: bool,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
    heard = Heard()
    num_before = len(thin_hub.requests)
    publish(directory, repo_named(thin_hub, f"up-{xet}", tmp_path), progress=heard)
    heard.check("uploading")
    assert "%|" not in capfd.readouterr().err, "the client's own bars stay invisible"
    sent = thin_hub.requests[num_before:]
    assert any("/xorbs/" in line for line in sent) is xet
    assert any(line.startswith("PUT /lfs/part") for line in sent) is not xet


def test_a_file_sent_again_is_counted_once(
    releases: Workspace,
    directory: Path,
    hub: RunningHub,
    faulty: FaultyHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    faulty.fault = Fault("PUT ", "reset_after", times=2)
    heard = Heard()
    publish(directory, repo_named(hub, "again", tmp_path), progress=heard)
    assert faulty.fault.num_hits == 2
    faulty.fault = None
    done = heard.told["uploading"]
    assert done == sorted(done) and done[-1] == heard.totals["uploading"]


def test_what_the_hub_has_already_is_told_as_done(
    hub: RunningHub, directory: Path, tmp_path: Path
) -> None:
    repo = repo_named(hub, "had", tmp_path)
    publish(directory, repo)
    repo.api.delete_file("plots/large.png", repo.repo_id, repo_type="dataset")
    repo.api.delete_tag(repo.repo_id, tag="v0.1.0", repo_type="dataset")
    manifest = read_manifest(directory)
    manifest.version = "0.1.1"
    manifest.ancestors = [release_sha256(directory)]
    (directory / "manifest.json").write_bytes(manifest_json(manifest))
    heard = Heard()
    publish(directory, DatasetRepo(repo.repo_id, repo.endpoint, repo.token), progress=heard)
    assert heard.told["uploading"][-1] == heard.totals["uploading"] > LARGE_BYTES


def test_a_download_is_told_of_while_one_file_is_under_way(
    thin_hub: RunningHub, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2_000_000)  # it tells of these
    repo = repo_named(thin_hub, "down", tmp_path)
    done = publish(directory, repo)
    heard = Heard()
    fetch_version(repo, FIRST, done.commit, tmp_path / "releases", heard)
    heard.check("downloading")
    assert heard.told["checking"][-1] == heard.totals["checking"] == heard.totals["downloading"]


def test_xet_uploads_that_nobody_listens_to_keep_the_clients_own_bars(
    hub: RunningHub, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    heard = Heard()
    repo = repo_named(hub, "own-bars", tmp_path)
    publish(directory, repo, progress=heard)
    num_told = len(heard.told["uploading"])
    repo.api.upload_file(
        path_or_fileobj=os.urandom(100_000),
        path_in_repo="notes.bin",
        repo_id=repo.repo_id,
        repo_type="dataset",
    )
    assert len(heard.told["uploading"]) == num_told


def test_a_count_goes_neither_back_nor_beyond_its_total() -> None:
    heard = Heard()
    count = ByteCount(heard, "uploading", 10)
    for step in (4, 0, 3, 9):
        count.add(step)
    count.reach(5)
    assert heard.told["uploading"] == [0, 4, 7, 10]
