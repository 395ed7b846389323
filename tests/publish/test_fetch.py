"""A published version in a workspace: sealed, whole, and made of what lies there already."""

import shutil
import stat
from pathlib import Path

import pytest

from builder.publish import DamagedReleaseError, DatasetRepo, PublishError, publish
from builder.publish.history import local_versions
from builder.publish.pull import pull
from builder.publish.rollback import RolledBack, add_to_workspace, manifest_json, rollback
from builder.publish.verify import verify_release
from builder.release import Version, open_inputs, release
from builder.release.versions import next_version
from builder.workspace import Workspace, WorkspaceError
from schemas.manifest import read_manifest
from tests.hub_server import RunningHub
from tests.publish.conftest import FIRST, SECOND, other_content, repo_named, the_release


@pytest.fixture
def workspace(releases: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the workspace, to change."""
    shutil.copytree(releases.root, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


def rolled_back(repo: DatasetRepo, releases: Workspace) -> RolledBack:
    for version in (FIRST, SECOND):
        publish(the_release(releases, version), repo)
    return rollback(repo, FIRST)


def check_sealed(directory: Path) -> None:
    verify_release(directory)
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o444}


def test_a_restored_version_in_the_workspace_is_sealed_like_any_release(
    repo: DatasetRepo, releases: Workspace, workspace: Workspace, hub: RunningHub
) -> None:
    done = rolled_back(repo, releases)
    num_before = len(hub.requests)
    directory = add_to_workspace(repo, done, workspace)
    assert directory is not None
    check_sealed(directory)
    assert verify_release(directory).restored_from == "0.1.0"
    assert not [line for line in hub.requests[num_before:] if ".parquet" in line]
    assert not publish(directory, repo).made_commit
    listed = [str(entry.version) for entry in local_versions(workspace.releases_dir)]
    assert listed == ["0.1.0", "0.2.0", "0.2.1"]
    assert add_to_workspace(repo, done, workspace) is None, "it is already there"


def test_a_workspace_that_lacks_the_old_version_gets_it_too_and_releases_above_it(
    repo: DatasetRepo, releases: Workspace, workspace: Workspace, hub: RunningHub
) -> None:
    shutil.rmtree(the_release(workspace))
    done = rolled_back(repo, releases)
    num_before = len(hub.requests)
    directory = add_to_workspace(repo, done, workspace)
    assert directory is not None
    check_sealed(directory)
    fetched = {line.split("/", 6)[-1] for line in hub.requests[num_before:] if "/data/" in line}
    held = {entry.sha256 for entry in read_manifest(the_release(workspace, SECOND)).shards}
    shards = read_manifest(directory).shards
    lacking = {entry.path for entry in shards if entry.sha256 not in held}
    assert fetched == lacking and len(lacking) < len(shards)
    assert str(next_version(workspace.releases_dir, "patch")) == "0.2.2"
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, next_version(workspace.releases_dir, "minor"), directory.parent)
    assert made.manifest.changelog[0].startswith("Against 0.2.1 (local):")


def test_a_workspace_of_another_dataset_is_left_alone(
    repo: DatasetRepo, releases: Workspace, workspace: Workspace
) -> None:
    """It has a 0.1.0 as well, but not this one."""
    manifest = the_release(workspace) / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes().replace(b'"name": "', b'"name": "another-'))
    shutil.rmtree(the_release(workspace, SECOND))
    assert add_to_workspace(repo, rolled_back(repo, releases), workspace) is None
    assert [str(entry.version) for entry in local_versions(workspace.releases_dir)] == ["0.1.0"]


def test_a_workspace_in_use_is_not_written_to(
    repo: DatasetRepo, releases: Workspace, workspace: Workspace
) -> None:
    done = rolled_back(repo, releases)
    with workspace.locked(), pytest.raises(WorkspaceError, match="another process is writing"):
        add_to_workspace(repo, done, workspace)
    assert not (workspace.releases_dir / "0.2.1").exists()


def test_a_damaged_file_is_not_taken_over_but_downloaded(
    repo: DatasetRepo, releases: Workspace, workspace: Workspace
) -> None:
    done = rolled_back(repo, releases)
    card = the_release(workspace) / "README.md"
    card.chmod(0o644)
    card.write_text("damaged")
    directory = add_to_workspace(repo, done, workspace)
    assert directory is not None
    check_sealed(directory)


@pytest.mark.parametrize("path", ["../../../leak.txt", "/tmp/leak.txt", "a/../../b", "..\\leak"])
def test_a_manifest_that_leaves_the_release_is_refused(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path, path: str
) -> None:
    done = publish(the_release(releases), repo)
    manifest = repo.manifest(done.commit)
    manifest.files[0].path = path
    hostile = manifest.model_copy(update={"version": "0.1.1"})
    forged = repo.api.upload_file(
        path_or_fileobj=manifest_json(hostile),
        path_in_repo="manifest.json",
        repo_id=repo.repo_id,
        repo_type="dataset",
    )
    repo.tag(Version.parse("0.1.1"), forged.oid, "forged")
    with pytest.raises(DamagedReleaseError, match="is outside the release"):
        pull(repo, Version.parse("0.1.1"), tmp_path / "ws")
    found = [p.name for p in (tmp_path / "ws").rglob("*") if p.is_file()]
    assert set(found) <= {"workspace.json", ".lock"}


def test_another_version_of_the_number_is_not_taken_for_it(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases, SECOND), repo)
    there = other_content(releases, tmp_path, SECOND)
    shutil.copytree(there, tmp_path / "ws" / "releases" / "0.2.0")
    with pytest.raises(PublishError, match="but differs from the one in"):
        pull(repo, SECOND, tmp_path / "ws")


def test_a_pulled_version_is_sealed_and_an_interrupted_pull_goes_on(
    hub: RunningHub, releases: Workspace, tmp_path: Path
) -> None:
    repo = repo_named(hub, "sealed", tmp_path)
    publish(the_release(releases), repo)
    arriving = tmp_path / "ws" / "releases" / ".pulling-0.1.0"
    shutil.copytree(the_release(releases), arriving)
    (arriving / "README.md").unlink()
    pulled = pull(repo, FIRST, tmp_path / "ws")
    check_sealed(the_release(pulled.workspace))
    assert not arriving.exists()
