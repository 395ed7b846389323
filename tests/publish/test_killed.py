"""A publisher killed at any request leaves a whole version or none; the next run completes it."""

import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from builder.publish import DatasetRepo, publish
from builder.publish.verify import manifest_entries, verify_release
from builder.release import Version
from builder.workspace import Workspace
from tests.hub_server import WRITE_TOKEN, running_hub
from tests.publish.killed_publisher import publish_in_process

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.publish.killed_publisher", "huggingface_hub.hf_api"])


@dataclass
class Killer:
    """Kills a process when its n-th request arrives, before or after the Hub did its work."""

    pid: int = 0
    at: int = 0
    after: bool = False
    num_seen: int = 0

    def wrap(self, app: ASGIApp) -> ASGIApp:
        async def killing(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not self.pid:
                return await app(scope, receive, send)
            self.num_seen += 1
            is_due = self.num_seen == self.at
            if is_due and not self.after:
                os.kill(self.pid, signal.SIGKILL)
            await app(scope, receive, send)
            if is_due and self.after:
                os.kill(self.pid, signal.SIGKILL)

        return killing


def test_kill_9_at_every_request(releases: Workspace, tmp_path: Path) -> None:
    first, second = (releases.releases_dir / version for version in ("0.1.0", "0.2.0"))
    manifest = verify_release(second)
    killer = Killer()
    num_killed = 0
    with running_hub(tmp_path / "hub", wrap=killer.wrap) as hub:
        for number in range(1, 60):
            repo = DatasetRepo(f"demo/k{number}", hub.url, WRITE_TOKEN, tmp_path / f"c{number}")
            publish(first, repo)
            child = _FORKS.Process(
                target=publish_in_process,
                args=(*map(str, (second, repo.repo_id, hub.url, WRITE_TOKEN, tmp_path / "c")),),
            )
            killer.num_seen, killer.at, killer.after = 0, number, number % 2 == 1
            child.start()
            assert child.pid is not None
            killer.pid = child.pid
            child.join()
            killer.pid = 0
            finished = child.exitcode == 0
            assert finished or child.exitcode == -9
            num_killed += not finished
            _check(repo, second, must_be_there=finished)
            publish(second, repo)
            _check(repo, second, must_be_there=True)
            assert len(repo.commits()) == 3
            if finished:
                break
    assert num_killed >= 12, manifest.version


def _check(repo: DatasetRepo, directory: Path, *, must_be_there: bool) -> None:
    manifest = verify_release(directory)
    commit = repo.refs().tags.get(Version.parse(manifest.version))
    assert commit is not None or not must_be_there
    if commit is not None:
        remote = repo.files(commit)
        for path, entry in manifest_entries(manifest).items():
            assert remote[path].holds(directory / path, entry.sha256)


pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
