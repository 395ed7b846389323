"""What a changelog compares with, and releases whose predecessors are damaged or pruned."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.publish import DatasetRepo, publish
from builder.publish.baseline import published_baseline
from builder.release import Version, open_inputs, release
from builder.release.build import Release
from builder.release.prune import prune, put_aside
from builder.release.versions import released_versions
from builder.workspace import Workspace
from schemas.manifest import MANIFEST_NAME, read_manifest
from tests.publish.conftest import FIRST, SECOND, the_release
from tests.publish.faulty_hub import Fault, FaultyHub
from tests.release.small_workspace import kept_samples, review, save_reviews

THIRD = Version.parse("0.3.0")

# The official client uploads with a keyword its own HTTP library has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def workspace(releases: Workspace, tmp_path: Path) -> Workspace:
    """A workspace with two releases, neither published yet."""
    shutil.copytree(releases.root, tmp_path / "ws")
    workspace = Workspace(tmp_path / "ws")
    (workspace.root / "published.json").unlink(missing_ok=True)
    save_reviews(workspace, [review(kept_samples(workspace)[1], 1, verdict="reject")])
    return workspace


Make = Callable[[Workspace, Version], tuple[Release, list[str]]]


@pytest.fixture
def make(repo: DatasetRepo) -> Make:
    """Makes a release as the command does, and gives the notes for the user."""

    def connect(repo_id: str) -> DatasetRepo:
        assert repo_id == repo.repo_id
        return DatasetRepo(repo_id, repo.endpoint, repo.token, repo.cache_dir)

    def made(workspace: Workspace, version: Version) -> tuple[Release, list[str]]:
        published, notes = published_baseline(workspace, version, connect)
        with open_inputs(workspace, None) as inputs:
            found = release(inputs, version, workspace.releases_dir, published=published)
        return found, [*notes, *found.notes]

    return made


def headings(made: Release) -> list[str]:
    text = (made.directory / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall("^## (.*)$", text, re.MULTILINE)


def test_without_a_publication_it_is_the_local_predecessor(
    make: Make, workspace: Workspace
) -> None:
    made, notes = make(workspace, THIRD)
    assert made.manifest.changelog[0].startswith("Against 0.2.0 (local): ") and not notes


def test_it_is_the_published_one_whatever_was_released_since(
    make: Make, repo: DatasetRepo, workspace: Workspace
) -> None:
    publish(the_release(workspace), repo)
    made, notes = make(workspace, THIRD)
    where = f"published in {repo.repo_id}"
    assert (
        made.manifest.changelog[0] == f"Against 0.1.0 ({where}): 0 rows added, 1 removed, "
        "0 changed."
    )
    assert made.manifest.previous_version == "0.2.0" and not notes
    assert headings(made) == ["0.3.0", "0.1.0"]
    publish(made.directory, repo)
    again, _ = make(workspace, THIRD)
    assert not again.is_new, "the same bytes, though another version is published by now"


@pytest.mark.parametrize("harm", ["shard", "whole"])
def test_of_a_damaged_or_pruned_one_only_what_is_compared_is_pulled(
    make: Make, repo: DatasetRepo, workspace: Workspace, harm: str
) -> None:
    publish(the_release(workspace, SECOND), repo)
    directory = the_release(workspace, SECOND)
    if harm == "shard":
        for shard in directory.rglob("*.parquet"):
            shard.unlink()
    else:
        shutil.rmtree(directory)
        shutil.rmtree(the_release(workspace))
    made, notes = make(workspace, THIRD)
    if harm == "shard":
        assert made.manifest.changelog[0].startswith(f"Against 0.2.0 (published in {repo.repo_id})")
        assert "rows added" in made.manifest.changelog[0] and not notes
    else:
        assert made.manifest.changelog[0].startswith("First version")
        assert any("does not continue" in note for note in notes) or notes == []
    assert headings(made)[0] == "0.3.0"


def test_a_hub_that_is_down_stops_no_release(
    make: Make, repo: DatasetRepo, workspace: Workspace, faulty: FaultyHub
) -> None:
    publish(the_release(workspace, SECOND), repo)
    faulty.fault = Fault(".*", "404", times=99)
    try:
        made, notes = make(workspace, THIRD)
    finally:
        faulty.fault = None
    assert made.manifest.changelog[0].startswith(f"Against 0.2.0 (published in {repo.repo_id})")
    assert len(notes) == 1 and "as far as this workspace knows" in notes[0]


def test_who_is_behind_hears_of_it_before_publishing(
    make: Make, repo: DatasetRepo, workspace: Workspace, tmp_path: Path
) -> None:
    publish(the_release(workspace), repo)
    shutil.copytree(workspace.root, tmp_path / "other")
    publish(the_release(Workspace(tmp_path / "other"), SECOND), repo)
    shutil.rmtree(the_release(workspace, SECOND))
    made, notes = make(workspace, THIRD)
    assert made.manifest.changelog[0].startswith("Against 0.1.0 (published")
    assert len(notes) == 1 and "has 0.2.0, which this workspace does not continue" in notes[0]
    assert "python -m builder rebase" in notes[0]


@pytest.mark.parametrize("harm", ["missing", "cut", "manifest"])
def test_a_damaged_predecessor_is_named_and_stops_no_release(
    make: Make, workspace: Workspace, harm: str
) -> None:
    directory = the_release(workspace, SECOND)
    sample_shards = [e.path for e in read_manifest(directory).shards if e.config == "Retrieval"]
    for name in [MANIFEST_NAME] if harm == "manifest" else sample_shards:
        (directory / name).chmod(0o644)
        if harm == "missing":
            (directory / name).unlink()
        else:
            (directory / name).write_bytes((directory / name).read_bytes()[:40])
    made, notes = make(workspace, THIRD)
    assert made.is_new and len(notes) == 1
    assert str(directory) in notes[0] and "builder rebase" in notes[0]
    first = made.manifest.changelog[0]
    if harm == "manifest":
        assert first.startswith("Against 0.1.0 (local): ")
    else:
        assert first.startswith("Against 0.2.0 (local): not compared row by row, since its data/")
        assert str(directory) not in first, "no place of this machine is published"


def space_of(directory: Path) -> int:
    files = {
        (path.stat().st_ino, path.stat().st_size) for path in directory.rglob("*") if path.is_file()
    }
    return sum(size for _, size in files)


def test_prune_keeps_what_is_needed_and_says_what_it_frees(
    make: Make, repo: DatasetRepo, workspace: Workspace
) -> None:
    publish(the_release(workspace), repo)
    for number in ("0.3.0", "0.4.0", "0.5.0"):
        make(workspace, Version.parse(number))
    put_aside(the_release(workspace, THIRD))
    make(workspace, THIRD)
    (workspace.releases_dir / ".pruning-0.0.1").mkdir()
    before = space_of(workspace.releases_dir)
    dry = prune(workspace, 1, dry_run=True)
    assert space_of(workspace.releases_dir) == before
    done = prune(workspace, 1)
    assert done == dry
    assert done.kept == {
        "0.5.0": "the latest",
        "0.4.0": "the predecessor of 0.5.0",
        "0.1.0": "compared with in the changelog of 0.5.0",
    }
    assert [name[:5] for name in done.names] == ["0.2.0", "0.3.0", "0.0.1", "0.3.0"]
    assert [str(v) for v in released_versions(workspace.releases_dir)] == [*sorted(done.kept)]
    assert done.num_bytes == before - space_of(workspace.releases_dir) > 0
    made, notes = make(workspace, Version.parse("0.6.0"))
    assert made.is_new and not notes and publish(made.directory, repo).made_commit
    with pytest.raises(ValueError, match="keep must be at least 1"):
        prune(workspace, 0)
    assert FIRST in released_versions(workspace.releases_dir)
