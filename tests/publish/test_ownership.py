"""What is somebody else's in a repository: not deleted, not replaced unasked, not read along."""

from pathlib import Path

import pytest
import yaml

from builder.publish import DatasetRepo, PublishError, publish
from builder.publish.ownership import card_patterns, own_files
from builder.publish.rollback import rollback
from builder.release import Version
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from tests.publish.conftest import FIRST, SECOND, check_published, other_content, the_release

FOREIGN = {
    "README.md": b"---\nlicense: mit\n---\n# Mine\n",
    "data/train-00000.parquet": b"PAR1 theirs",
    "notes.txt": b"do not lose",
}


def put(repo: DatasetRepo, files: dict[str, bytes]) -> None:
    """Somebody else's files, in commits of their own."""
    repo.ensure(private=False)
    for path, content in files.items():
        repo.api.upload_file(
            path_or_fileobj=content, path_in_repo=path, repo_id=repo.repo_id, repo_type="dataset"
        )


def content_of(repo: DatasetRepo, path: str) -> bytes | None:
    head = repo.refs().head
    assert head is not None
    return repo.read(head, path)


def test_a_repository_of_somebody_else_is_refused_and_untouched(
    repo: DatasetRepo, releases: Workspace
) -> None:
    put(repo, FOREIGN)
    before = repo.refs()
    with pytest.raises(PublishError, match=r"no version yet.*data/train-00000\.par.*--adopt"):
        publish(the_release(releases), repo)
    assert repo.refs() == before
    assert all(content_of(repo, path) == content for path, content in FOREIGN.items())


def test_adopting_it_replaces_the_card_and_deletes_nothing(
    repo: DatasetRepo, releases: Workspace
) -> None:
    put(repo, FOREIGN)
    done = publish(the_release(releases), repo, adopt=True)
    assert done.made_commit and done.num_deleted == 0
    assert content_of(repo, "data/train-00000.parquet") == b"PAR1 theirs"
    assert content_of(repo, "notes.txt") == b"do not lose"
    assert content_of(repo, "README.md") == (the_release(releases) / "README.md").read_bytes()
    second = publish(the_release(releases, SECOND), repo)
    assert second.made_commit, "the next version needs no --adopt"
    assert content_of(repo, "notes.txt") == b"do not lose"


@pytest.mark.filterwarnings("ignore:Warnings while validating metadata")
@pytest.mark.parametrize("readme", [b"", b"---\nlicense: mit\n---\n"])
def test_a_repository_as_the_hubs_form_makes_it_needs_no_adopting(
    repo: DatasetRepo, releases: Workspace, readme: bytes
) -> None:
    put(repo, {"README.md": readme})
    publish(the_release(releases), repo)
    check_published(repo, the_release(releases))


@pytest.mark.parametrize("manifest", [b'{"files": ["a.js"]}', b"not JSON", b"[]"])
def test_a_manifest_of_another_program_is_not_ours(
    repo: DatasetRepo, releases: Workspace, manifest: bytes
) -> None:
    put(repo, {"manifest.json": manifest})
    with pytest.raises(PublishError, match=r"no version yet.*manifest\.json"):
        publish(the_release(releases), repo)


def test_a_new_version_leaves_strange_files_alone(repo: DatasetRepo, releases: Workspace) -> None:
    publish(the_release(releases), repo)
    strange = {"data/strange.parquet": b"PAR1", "data/VQA/notes.txt": b"?", "notes.txt": b"!"}
    put(repo, strange)
    done = publish(the_release(releases, SECOND), repo)
    assert done.num_deleted == 0
    assert all(content_of(repo, path) == content for path, content in strange.items())


def test_shards_that_the_new_version_lacks_go(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases, SECOND), repo)
    third = other_content(releases, tmp_path, Version.parse("0.3.0"))
    gone = own_files(read_manifest(the_release(releases, SECOND)))
    gone -= own_files(read_manifest(third))
    assert gone, "0.2.0 has a shard of reviews, 0.3.0 has none"
    done = publish(third, repo)
    assert done.num_deleted == len(gone)
    check_published(repo, third)


@pytest.mark.parametrize("path", ["data/VQA/train-strange.parquet", ".huggingface.yaml"])
def test_strange_rows_that_would_be_read_along_keep_a_version_out(
    repo: DatasetRepo, releases: Workspace, path: str
) -> None:
    publish(the_release(releases), repo)
    publish(the_release(releases, SECOND), repo)
    put(repo, {path: b"PAR1"})
    before = repo.refs()
    with pytest.raises(PublishError, match=rf"{path}.*would read it too.*hf repos delete-files"):
        rollback(repo, FIRST)
    assert repo.refs() == before
    repo.api.delete_file(path, repo.repo_id, repo_type="dataset")
    assert rollback(repo, FIRST).made_commit


def test_adopting_does_not_let_strange_rows_in(repo: DatasetRepo, releases: Workspace) -> None:
    put(repo, {"data/Retrieval/validation-0.parquet": b"PAR1"})
    with pytest.raises(PublishError, match="would read it too"):
        publish(the_release(releases), repo, adopt=True)
    assert not repo.refs().tags


def test_a_file_in_the_way_is_replaced_only_when_asked(
    repo: DatasetRepo, releases: Workspace
) -> None:
    publish(the_release(releases), repo)
    new = own_files(read_manifest(the_release(releases, SECOND)))
    (shard,) = new - own_files(read_manifest(the_release(releases)))
    assert shard.startswith("data/reviews/")
    put(repo, {shard: b"theirs"})
    with pytest.raises(PublishError, match=rf"{shard}.*--adopt to replace"):
        publish(the_release(releases, SECOND), repo)
    assert content_of(repo, shard) == b"theirs"
    publish(the_release(releases, SECOND), repo, adopt=True)
    check_published(repo, the_release(releases, SECOND))


def test_files_of_ours_go_even_after_somebody_removed_the_manifest(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases, SECOND), repo)
    repo.api.delete_file("manifest.json", repo.repo_id, repo_type="dataset")
    third = other_content(releases, tmp_path, Version.parse("0.3.0"))
    with pytest.raises(PublishError, match="no version yet"):
        publish(third, repo)
    publish(third, repo, adopt=True)
    check_published(repo, third)


def test_the_patterns_are_those_of_the_card(releases: Workspace) -> None:
    card = (the_release(releases, SECOND) / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    listed = {files["path"] for config in head["configs"] for files in config["data_files"]}
    assert card_patterns(read_manifest(the_release(releases, SECOND))) == listed
