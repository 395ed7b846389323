"""Publishing to a real Hub on loopback: one commit, one tag, and nothing twice."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from builder.config import load_config
from builder.generate.rounds import Rounds
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.plan.shares import targets_of
from builder.publish import (
    AccessError,
    DamagedReleaseError,
    DatasetRepo,
    PublishError,
    StaleError,
    publish,
)
from builder.publish.compared_version import find_version, version_on_hub
from builder.publish.history import published_versions
from builder.publish.pull import pull
from builder.publish.rollback import rollback
from builder.publish.verify import verify_release
from builder.release import Version, open_inputs, release
from builder.release.compare import compare
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from schemas.shards import read_records
from tests.hub_server import READ_TOKEN, RunningHub
from tests.publish.conftest import (
    FIRST,
    SECOND,
    check_published,
    other_content,
    repo_named,
    the_release,
)
from tests.release.small_workspace import kept_samples


def test_two_versions_are_two_commits_and_two_tags(repo: DatasetRepo, releases: Workspace) -> None:
    first = publish(the_release(releases), repo)
    second = publish(the_release(releases, SECOND), repo)
    assert first.made_commit and first.made_tag and second.made_commit and second.made_tag
    assert repo.refs().tags == {FIRST: first.commit, SECOND: second.commit}
    assert len(repo.commits()) == 3
    check_published(repo, the_release(releases))
    check_published(repo, the_release(releases, SECOND))


def test_publishing_again_moves_nothing(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub
) -> None:
    publish(the_release(releases), repo)
    num_commits, num_before = len(repo.commits()), len(hub.requests)
    again = publish(the_release(releases), repo)
    assert (again.made_commit, again.made_tag, again.num_uploaded_bytes) == (False, False, 0)
    assert len(repo.commits()) == num_commits
    sent = [line for line in hub.requests[num_before:] if not line.startswith(("GET", "HEAD"))]
    assert sent == ["POST /api/repos/create"]


def test_only_what_changed_is_uploaded(repo: DatasetRepo, releases: Workspace) -> None:
    publish(the_release(releases), repo)
    second = publish(the_release(releases, SECOND), repo)
    old = {entry.path: entry.sha256 for entry in read_manifest(the_release(releases)).shards}
    new = read_manifest(the_release(releases, SECOND))
    kept = [entry.path for entry in new.shards if old.get(entry.path) == entry.sha256]
    assert kept
    assert second.num_uploaded == len(new.shards) + len(new.files) + 1 - len(
        [*kept, *_same_files(releases)]
    )


def _same_files(releases: Workspace) -> list[str]:
    old = {entry.path: entry.sha256 for entry in read_manifest(the_release(releases)).files}
    new = read_manifest(the_release(releases, SECOND)).files
    return [entry.path for entry in new if old.get(entry.path) == entry.sha256]


def test_a_commit_without_its_tag_is_finished(repo: DatasetRepo, releases: Workspace) -> None:
    done = publish(the_release(releases), repo)
    repo.api.delete_tag(repo.repo_id, tag="v0.1.0", repo_type="dataset")
    listed, warnings = published_versions(repo)
    assert listed == [] and len(warnings) == 1 and "0.1.0 without its tag" in warnings[0]
    again = publish(the_release(releases), repo)
    assert (again.made_commit, again.made_tag, again.commit) == (False, True, done.commit)


def test_it_is_finished_even_after_others_went_on(repo: DatasetRepo, releases: Workspace) -> None:
    first = publish(the_release(releases), repo)
    repo.api.delete_tag(repo.repo_id, tag="v0.1.0", repo_type="dataset")
    publish(the_release(releases, SECOND), repo)
    again = publish(the_release(releases), repo)
    assert (again.made_commit, again.commit) == (False, first.commit)


def test_a_tag_with_other_content_is_refused(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases, SECOND), repo)
    num_commits = len(repo.commits())
    other = other_content(releases, tmp_path)
    with pytest.raises(StaleError, match=r"0\.2\.0 is published with other content"):
        publish(other, repo)
    assert len(repo.commits()) == num_commits


def test_an_older_version_does_not_go_on_top(repo: DatasetRepo, releases: Workspace) -> None:
    publish(the_release(releases, SECOND), repo)
    with pytest.raises(PublishError, match=r"has version 0\.2\.0, newer than 0\.1\.0"):
        publish(the_release(releases), repo)


def test_a_corrupted_shard_is_found_before_anything_is_sent(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    shutil.copytree(the_release(releases), tmp_path / "0.1.0")
    shard = tmp_path / "0.1.0" / read_manifest(tmp_path / "0.1.0").shards[0].path
    shard.chmod(0o644)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    num_before = len(hub.requests)
    with pytest.raises(DamagedReleaseError, match=r"do not match the manifest.*nothing was pub"):
        publish(tmp_path / "0.1.0", repo)
    assert len(hub.requests) == num_before


def test_a_missing_and_an_added_file_are_found(releases: Workspace, tmp_path: Path) -> None:
    shutil.copytree(the_release(releases), tmp_path / "0.1.0")
    (tmp_path / "0.1.0" / "extra.txt").write_text("?")
    with pytest.raises(DamagedReleaseError, match=r"extra\.txt: not in the manifest"):
        verify_release(tmp_path / "0.1.0")
    (tmp_path / "0.1.0" / "README.md").unlink()
    with pytest.raises(DamagedReleaseError, match=r"README\.md: missing"):
        verify_release(tmp_path / "0.1.0")


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("hub_wrong_token", "does not know who you are"),
        (READ_TOKEN, "may not do this"),
    ],
)
def test_refusals_are_said_in_words_and_name_no_token(
    hub: RunningHub, releases: Workspace, tmp_path: Path, token: str, said: str
) -> None:
    repo = repo_named(hub, "refused", tmp_path, token)
    with pytest.raises(AccessError, match=said) as caught:
        publish(the_release(releases), repo)
    assert token not in str(caught.value) and "demo/refused" in str(caught.value)


def test_a_private_repository_is_not_visible_to_others(
    hub: RunningHub, releases: Workspace, repo: DatasetRepo, tmp_path: Path
) -> None:
    publish(the_release(releases), repo, private=True)
    assert repo.api.repo_info(repo.repo_id, repo_type="dataset").private
    stranger = DatasetRepo(repo.repo_id, hub.url, "hub_write_other", tmp_path)
    with pytest.raises(AccessError, match="not visible to this token"):
        published_versions(stranger)


def test_a_malformed_name_is_said_in_words(hub: RunningHub, releases: Workspace) -> None:
    with pytest.raises(PublishError, match="is not the name of a repository"):
        publish(the_release(releases), DatasetRepo("a/b/c", hub.url, "x"))


def test_rollback_restores_every_file_but_the_manifest(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path, hub: RunningHub
) -> None:
    for version in (FIRST, SECOND):
        publish(the_release(releases, version), repo)
    num_before = len(hub.requests)
    done = rollback(repo, FIRST)
    assert str(done.version) == "0.2.1" and done.made_commit and done.made_tag
    assert not [line for line in hub.requests[num_before:] if line.startswith("PUT")]
    then, now = repo.files(repo.commit_of(FIRST)), repo.files(done.commit)
    assert {path for path in then if then[path] != now[path]} == {"CHANGELOG.md", "manifest.json"}
    assert set(then) == set(now)
    manifest = repo.manifest(done.commit)
    assert (manifest.version, manifest.restored_from, manifest.previous_version) == (
        "0.2.1",
        "0.1.0",
        "0.2.0",
    )
    assert manifest.shards == read_manifest(the_release(releases)).shards
    changelog = (repo.read(done.commit, "CHANGELOG.md") or b"").decode()
    headings = re.findall("^## (.*)$", changelog, re.MULTILINE)
    assert headings == ["0.2.1", "0.2.0 (rolled back by 0.2.1)", "0.1.0"]
    entry = next(entry for entry in manifest.files if entry.path == "CHANGELOG.md")
    assert entry.sha256 == hashlib.sha256(changelog.encode()).hexdigest()
    again = rollback(repo, FIRST)
    assert not again.made_commit and not again.made_tag and again.version == done.version


def test_an_interrupted_rollback_is_finished(repo: DatasetRepo, releases: Workspace) -> None:
    for version in (FIRST, SECOND):
        publish(the_release(releases, version), repo)
    done = rollback(repo, FIRST)
    repo.api.delete_tag(repo.repo_id, tag=done.version.tag, repo_type="dataset")
    again = rollback(repo, FIRST)
    assert (again.commit, again.made_commit, again.made_tag) == (done.commit, False, True)


def test_rolling_back_to_the_latest_is_refused(repo: DatasetRepo, releases: Workspace) -> None:
    publish(the_release(releases), repo)
    with pytest.raises(PublishError, match="already has the same files"):
        rollback(repo, FIRST)
    with pytest.raises(PublishError, match=r"no version 9\.9\.9; it has 0\.1\.0"):
        rollback(repo, Version.parse("9.9.9"))


def test_diff_is_the_same_from_disk_and_from_the_hub(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub
) -> None:
    for version in (FIRST, SECOND):
        publish(the_release(releases, version), repo)
    local = compare(
        find_version("0.1.0", releases.releases_dir), find_version("0.2.0", releases.releases_dir)
    )
    remote = compare(
        version_on_hub(repo, repo.repo_id, "0.1.0"), version_on_hub(repo, repo.repo_id, "0.2.0")
    )
    assert remote.as_json() == local.as_json()
    by_directory = compare(
        find_version(str(the_release(releases)), releases.releases_dir),
        find_version(f"{the_release(releases, SECOND)}@0.2.0", releases.releases_dir),
    )
    assert by_directory.as_json() == local.as_json()
    assert local.as_json()["rows"] == {"added": 0, "removed": 1, "changed": 1}
    assert local.as_json()["changed_by_field"] == {"query_text": 1}
    backwards = compare(
        find_version("0.2.0", releases.releases_dir), find_version("0.1.0", releases.releases_dir)
    )
    assert backwards.as_json()["rows"] == {"added": 1, "removed": 0, "changed": 1}


def test_a_pulled_workspace_releases_the_same_version(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    for version in (FIRST, SECOND):
        publish(the_release(releases, version), repo)
    workspace = pull(repo, SECOND, tmp_path / "ws").workspace
    original = {row.id: row for row in kept_samples(releases)}
    found = {row.id: row for row in kept_samples(workspace)}
    assert len(found) == len(original) - 1
    assert all(original[sample_id] == row for sample_id, row in found.items())
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, Version.parse("0.3.0"), workspace.releases_dir)
    assert made.manifest.changelog[0].startswith(
        "Against 0.2.0 (local): 0 rows added, 0 removed, 0 changed"
    )
    before = read_manifest(the_release(releases, SECOND))
    assert made.manifest.shards == before.shards
    quality = (made.directory / "quality.json").read_text()
    assert '"answer_leak": 2' in quality
    with pytest.raises(PublishError, match="already has a build"):
        pull(repo, SECOND, tmp_path / "ws")


def test_a_build_goes_on_in_a_pulled_workspace(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases), repo)
    workspace = pull(repo, FIRST, tmp_path / "ws").workspace
    config = load_config(workspace.config_path)
    config.num_samples = 2 * config.num_samples
    with (
        Ledger(workspace.ledger_path) as ledger,
        ImageStore(workspace.images_dir, config.images) as store,
    ):
        opened = Rounds(config, ledger, store).next_open(note=False)
        wanted = targets_of(config).by_slot
        accepted = ledger.accepted_counts()
    missing = sum(max(0, num - accepted.get(slot, 0)) for slot, num in wanted.items())
    assert opened is not None and opened.num_open == missing < config.num_samples


def test_a_pulled_workspace_writes_the_same_shards_from_its_rows(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases, SECOND), repo)
    workspace = pull(repo, SECOND, tmp_path / "ws").workspace
    shutil.rmtree(workspace.releases_dir)
    with open_inputs(workspace, None) as inputs:
        made = release(inputs, SECOND, workspace.releases_dir)
    assert made.manifest.shards == read_manifest(the_release(releases, SECOND)).shards


def test_a_tag_that_holds_another_version_is_neither_pulled_nor_passed_over(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    done = publish(the_release(releases), repo)
    first = str(repo.refs().head)
    for tag in ("v0.0.7", "v1.0.0"):
        repo.api.create_tag(repo.repo_id, tag=tag, revision=first, repo_type="dataset")
    moved = Version.parse("1.0.0")
    said = r"tag v1\.0\.0 holds version 0\.1\.0"
    with pytest.raises(PublishError, match=said):
        pull(repo, moved, tmp_path / "ws")
    assert not (tmp_path / "ws").exists()
    with pytest.raises(PublishError, match=said):
        version_on_hub(repo, repo.repo_id, "1.0.0")
    with pytest.raises(PublishError, match=r"tag v0\.0\.7 holds version 0\.1\.0"):
        rollback(repo, Version.parse("0.0.7"))
    listed, warnings = published_versions(repo)
    notes = {str(entry.version): entry.note for entry in listed if entry.commit == done.commit}
    assert notes["1.0.0"] == notes["0.0.7"] == "is actually 0.1.0" != notes["0.1.0"]
    assert [warning.split()[1] for warning in warnings] == ["v0.0.7", "v1.0.0"]


def test_a_version_tag_of_somebody_else_is_listed_as_such(
    repo: DatasetRepo, releases: Workspace
) -> None:
    repo.ensure(private=False)
    repo.api.create_tag(repo.repo_id, tag="v0.0.1", repo_type="dataset")
    publish(the_release(releases), repo)
    listed, warnings = published_versions(repo)
    assert [entry.note == "not made by this program" for entry in listed] == [True, False]
    assert warnings == []


def test_reviews_and_provenance_are_published_as_configs(
    repo: DatasetRepo, releases: Workspace
) -> None:
    publish(the_release(releases, SECOND), repo)
    manifest = repo.manifest(repo.commit_of(SECOND))
    assert manifest.num_by_config["reviews"] == {"train": 2}
    shard = next(entry for entry in manifest.shards if entry.config == "reviews")
    rows = list(read_records(the_release(releases, SECOND) / shard.path))
    assert [row["kind"] for row in rows] == ["edit", "verdict"]
