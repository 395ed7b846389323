"""Two people publish one dataset: a stale release is refused, and a rebase loses nobody's work."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.ledger.ledger import Ledger
from builder.publish import DatasetRepo, PublishError, StaleError, publish
from builder.publish.pull import pull
from builder.publish.rebase import rebase
from builder.publish.rollback import rollback
from builder.release import Version, open_inputs, release
from builder.workspace import Workspace
from schemas.manifest import ReleaseManifest, read_manifest
from schemas.review import ReviewEvent, read_events
from schemas.shards import read_records
from tests.hub_server import RunningHub
from tests.publish.conftest import FIRST, SECOND, repo_named, the_release
from tests.release.small_workspace import (
    fill_ledger,
    kept_samples,
    picture,
    review,
    save_reviews,
)

THIRD = Version.parse("0.3.0")


def make(workspace: Workspace, version: Version) -> Path:
    with open_inputs(workspace, None) as inputs:
        return release(inputs, version, workspace.releases_dir).directory


def add_rows(workspace: Workspace, seed: int, num_rows: int = 12) -> None:
    """Rows that nobody else has, over images of the workspace."""
    from builder.images.store import ImageStore

    with ImageStore(workspace.images_dir) as store:
        hashes = [
            store.add(
                picture(1000 * seed + number),
                group=f"group-{number // 2}",
                licence="MIT",
                source=f"set/{number}",
            ).sha256
            for number in range(4)
        ]
    fill_ledger(workspace, hashes, num_rows, seed)


def add_reviews(workspace: Workspace, *events: ReviewEvent) -> None:
    known = list(read_events(workspace.reviews_path)) if workspace.reviews_path.exists() else []
    save_reviews(workspace, [*known, *events])


def rows_of(directory: Path) -> dict[str, str | None]:
    """Query text by id of every row of a release."""
    manifest = read_manifest(directory)
    configs = {"Retrieval", "VQA", "Classification"}
    return {
        row["id"]: row["query_text"]
        for entry in manifest.shards
        if entry.config in configs
        for row in read_records(directory / entry.path, ["id", "query_text"])
    }


def event_ids(directory: Path) -> list[str]:
    return [
        row["event_id"]
        for entry in read_manifest(directory).shards
        if entry.config == "reviews"
        for row in read_records(directory / entry.path)
    ]


@pytest.fixture
def couple(repo: DatasetRepo, releases: Workspace, tmp_path: Path) -> tuple[Workspace, Workspace]:
    """Ada's workspace, which published 0.1.0, and Bob's, pulled from it."""
    shutil.copytree(releases.root, tmp_path / "ada")
    ada = Workspace(tmp_path / "ada")
    shutil.rmtree(the_release(ada, SECOND))
    ada.reviews_path.unlink()
    (ada.root / "published.json").unlink(missing_ok=True)
    publish(the_release(ada), repo)
    return ada, pull(repo, FIRST, tmp_path / "bob").workspace


def test_both_publish_and_nothing_is_lost(
    repo: DatasetRepo, couple: tuple[Workspace, Workspace], hub: RunningHub
) -> None:
    ada, bob = couple
    rows = kept_samples(ada)
    texts = [row for row in rows if row.query_text and row.language == "en"]
    for_ada, for_both, for_bob = texts[:3]
    others = [row for row in rows if row not in texts]
    add_rows(ada, 7)
    add_reviews(
        ada,
        review(for_ada, 1, edits={"query_text": "corrected by Ada"}, event_id="ada-000001"),
        review(for_both, 2, edits={"query_text": "the first correction"}, event_id="ada-000002"),
        review(others[0], 3, verdict="reject", event_id="ada-000003"),
    )
    publish(make(ada, SECOND), repo)
    add_rows(bob, 8)
    later = "2026-02-02T00:00:00Z"
    add_reviews(
        bob,
        review(for_bob, 1, edits={"query_text": "corrected by Bob"}, event_id="bob-000001"),
        review(
            for_both,
            2,
            edits={"query_text": "the later correction"},
            event_id="bob-000002",
            ts=later,
        ),
        review(others[1], 3, verdict="reject", event_id="bob-000003"),
    )
    mine = make(bob, SECOND)
    num_before = len(hub.requests)
    with pytest.raises(StaleError) as refused:
        publish(mine, repo)
    said = str(refused.value)
    assert "version 0.2.0 is published with other content" in said
    assert "12 rows added there" in said and "1 row removed there" in said, said
    assert "2 rows edited there" in said and "3 review events by 1 reviewer" in said
    assert for_ada.id in said and others[0].id in said
    assert f"python -m builder rebase -w {bob.root} --onto {repo.repo_id}" in said
    sent = [line for line in hub.requests[num_before:] if not line.startswith(("GET", "HEAD"))]
    assert sent == ["POST /api/repos/create"]

    higher = make(bob, THIRD)
    with pytest.raises(
        StaleError, match=r"0\.3\.0 does not continue the published version 0\.2\.0"
    ):
        publish(higher, repo)
    before = rows_of(higher)
    dry = rebase(repo, bob, dry_run=True)
    assert (dry.num_rows, dry.num_events) == (12, 3) and rows_of(higher) == before
    done = rebase(repo, bob)
    assert (done.num_rows, done.num_removed, done.num_events) == (12, 0, 3)
    assert done.edited_by_both == [for_both.id]
    assert done.superseded == dry.superseded == ["0.2.0", "0.3.0"]
    assert rebase(repo, bob).is_up_to_date
    merged = make(bob, THIRD)
    published = publish(merged, repo)
    assert published.made_commit and published.made_tag

    now = rows_of(merged)
    expected = {row.id for row in rows} - {others[0].id, others[1].id}
    theirs, ours = rows_of(the_release(ada, SECOND)), before
    assert set(now) == expected | set(theirs) - {others[1].id} | set(ours) - {others[0].id}
    assert len(now) == len(rows) - 2 + 12 + 12
    assert now[for_ada.id] == "corrected by Ada" and now[for_bob.id] == "corrected by Bob"
    assert now[for_both.id] == "the later correction"
    assert sorted(event_ids(merged)) == [
        f"{who}-00000{number}" for who in ("ada", "bob") for number in (1, 2, 3)
    ]
    assert read_manifest(merged).previous_version == "0.2.0"
    assert read_manifest(merged).changelog[0].startswith("Against 0.2.0")

    assert rebase(repo, ada).num_rows == 12, "and back again"
    back = make(ada, Version.parse("0.4.0"))
    assert rows_of(back) == now
    publish(back, repo)


def test_rows_that_the_other_dropped_stay_dropped_and_own_drops_stand(
    repo: DatasetRepo, couple: tuple[Workspace, Workspace]
) -> None:
    ada, bob = couple
    rows = kept_samples(ada)
    for workspace, row in ((ada, rows[0]), (bob, rows[1])):
        with Ledger(workspace.ledger_path) as ledger:
            ledger.db.execute(
                "UPDATE outcome SET reason = 'near_duplicate' WHERE sample_id = ?", (row.id,)
            )
    publish(make(ada, SECOND), repo)
    with pytest.raises(StaleError, match="1 row removed there"):
        publish(make(bob, SECOND), repo)
    assert rebase(repo, bob).num_removed == 1
    merged = make(bob, THIRD)
    publish(merged, repo)
    assert set(rows_of(merged)) == {row.id for row in rows[2:]}


def test_an_unpublished_chain_of_releases_continues_what_is_published(
    repo: DatasetRepo, couple: tuple[Workspace, Workspace]
) -> None:
    ada, _ = couple
    add_rows(ada, 3)
    make(ada, SECOND)
    third = make(ada, THIRD)
    assert publish(third, repo).made_commit
    shutil.rmtree(the_release(ada, SECOND))
    add_rows(ada, 4)
    assert publish(make(ada, Version.parse("0.4.0")), repo).made_commit


def as_earlier_programs(workspace: Workspace) -> None:
    """Removes what manifests did not say yet."""
    import orjson

    from builder.publish.rollback import manifest_json

    for path in sorted(workspace.releases_dir.glob("*/manifest.json")):
        manifest = ReleaseManifest.model_validate(orjson.loads(path.read_bytes()))
        content = orjson.loads(manifest_json(manifest))
        del content["ancestors"], content["compared_with"]
        path.chmod(0o644)
        path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


def test_releases_of_earlier_programs_continue_their_predecessor_by_content(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(releases.root, tmp_path / "old")
    old = Workspace(tmp_path / "old")
    as_earlier_programs(old)
    for version in (FIRST, SECOND):
        publish(the_release(old, version), repo)
    assert publish(make(old, THIRD), repo).made_commit


def test_the_number_of_a_predecessor_is_not_enough(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases), repo)
    shutil.copytree(releases.root, tmp_path / "other")
    other = Workspace(tmp_path / "other")
    as_earlier_programs(other)
    with pytest.raises(
        StaleError, match=r"0\.2\.0 does not continue the published version 0\.1\.0"
    ):
        publish(the_release(other, SECOND), repo)


def test_a_rollback_in_between_is_not_undone_without_a_word(
    repo: DatasetRepo, couple: tuple[Workspace, Workspace]
) -> None:
    ada, bob = couple
    add_rows(ada, 5)
    publish(make(ada, SECOND), repo)
    rebase(repo, bob)
    rollback(repo, FIRST)
    add_rows(bob, 6)
    with pytest.raises(StaleError, match=r"does not continue the published version 0\.2\.1"):
        publish(make(bob, THIRD), repo)
    assert rebase(repo, bob).restores == "0.1.0"
    assert publish(make(bob, THIRD), repo).made_commit


def test_another_dataset_is_not_mixed_in(
    repo: DatasetRepo, couple: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    from builder.config import load_config, save_config

    ada, _ = couple
    shutil.rmtree(ada.releases_dir)
    config = load_config(ada.config_path)
    config.name = "another"
    save_config(config, ada.config_path)
    with pytest.raises(PublishError, match="has the dataset 'small'"):
        rebase(repo, ada)
    ada.config_path.unlink()
    with pytest.raises(PublishError, match="no build here yet"):
        rebase(repo, ada)


@pytest.mark.parametrize("step", ["add_images", "add_rows", "save_reviews", "_install"])
def test_a_rebase_cut_off_anywhere_is_completed_by_the_next(
    repo: DatasetRepo,
    couple: tuple[Workspace, Workspace],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """Until it is complete, releases of the workspace are still refused."""
    from builder.publish import rebase as module

    ada, bob = couple
    add_rows(ada, 5)
    add_reviews(ada, review(kept_samples(ada)[0], 1, verdict="reject", event_id="ada-000001"))
    publish(make(ada, SECOND), repo)
    original: Callable[..., object] = getattr(module, step)

    def cut_off(*args: object, **options: object) -> None:
        original(*args, **options) if step != "_install" else None
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, step, cut_off)
        with pytest.raises(KeyboardInterrupt):
            rebase(repo, bob)
    with pytest.raises(StaleError):
        publish(make(bob, SECOND), repo)
    rebase(repo, bob)
    merged = make(bob, THIRD)
    publish(merged, repo)
    assert set(rows_of(merged)) == set(rows_of(the_release(ada, SECOND)))
    assert event_ids(merged) == ["ada-000001"]


def test_a_damaged_release_is_fetched_again(
    repo: DatasetRepo, couple: tuple[Workspace, Workspace]
) -> None:
    ada, _ = couple
    directory = the_release(ada)
    next(directory.rglob("*.parquet")).unlink()
    done = rebase(repo, ada)
    assert (done.num_rows, done.is_up_to_date) == (0, False)
    assert publish(make(ada, SECOND), repo).made_commit
    (the_release(ada, SECOND) / "manifest.json").chmod(0o644)
    (the_release(ada, SECOND) / "manifest.json").write_text("{")
    rebase(repo, ada)
    assert publish(make(ada, THIRD), repo).made_commit


def test_a_repository_without_a_version_has_nothing_to_bring_in(
    hub: RunningHub, couple: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    empty = repo_named(hub, "empty-onto", tmp_path / "cache")
    empty.ensure(private=False)
    with pytest.raises(PublishError, match="no version is published there"):
        rebase(empty, couple[0])
