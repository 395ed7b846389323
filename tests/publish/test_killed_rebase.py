"""A rebase killed at any step leaves the workspace whole; the next run completes it."""

import multiprocessing
import shutil
from pathlib import Path

from builder.publish import DatasetRepo, publish
from builder.publish.rebase import rebase
from builder.workspace import Workspace
from tests.hub_server import WRITE_TOKEN, RunningHub
from tests.publish.conftest import FIRST, SECOND
from tests.publish.killed_publisher import rebase_until
from tests.publish.test_colleagues import (
    THIRD,
    add_reviews,
    add_rows,
    couple,  # noqa: F401 a fixture
    event_ids,
    make,
    rows_of,
)
from tests.release.small_workspace import kept_samples, review

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.publish.killed_publisher", "huggingface_hub.hf_api"])
#: Functions at whose n-th call a run is killed: while rows come in, between rows and reviews, and
#: with a release put aside and none installed.
STEPS = {"_add_provenance": 7, "save_reviews": 1, "rename": 2}


def test_kill_9_at_any_step_of_a_rebase(
    repo: DatasetRepo,
    couple: tuple[Workspace, Workspace],  # noqa: F811
    hub: RunningHub,
    tmp_path: Path,
) -> None:
    ada, bob = couple
    corrected = next(row for row in kept_samples(ada) if row.query_text)
    add_rows(ada, 7)
    add_reviews(ada, review(corrected, 1, edits={"query_text": "by Ada"}, event_id="ada-000001"))
    publish(make(ada, SECOND), repo)
    add_rows(bob, 8)
    make(bob, SECOND)
    whole = {str(FIRST), str(SECOND)}
    undisturbed = Workspace(tmp_path / "undisturbed")
    shutil.copytree(bob.root, undisturbed.root)
    rebase(repo, undisturbed)
    wanted = make(undisturbed, THIRD)
    for step, nth in STEPS.items():
        workspace = Workspace(tmp_path / step)
        shutil.copytree(bob.root, workspace.root)
        before = {row.id for row in kept_samples(workspace)}
        child = _FORKS.Process(
            target=rebase_until,
            args=(step, nth, str(workspace.root), repo.repo_id, hub.url, WRITE_TOKEN),
        )
        child.start()
        child.join()
        assert child.exitcode == -9, step
        assert before <= {row.id for row in kept_samples(workspace)}, step
        rebase(repo, workspace)
        assert {path.name for path in workspace.releases_dir.iterdir()} >= whole, step
        made = make(workspace, THIRD)
        assert rows_of(made) == rows_of(wanted), step
        assert event_ids(made) == event_ids(wanted) == ["ada-000001"], step
