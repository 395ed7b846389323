from pathlib import Path

import pytest

from schemas.features import CONFIG_SCHEMAS
from schemas.shards import write_shard
from trainer.corpus import load_corpus
from trainer.errors import ReleaseError


def test_rows_and_groups_come_from_the_published_columns(release: Path) -> None:
    corpus = load_corpus(str(release), None, "train")
    assert len(corpus.rows) == 32 and len(corpus.images) == 16
    row = next(row for row in corpus.rows if row.modality == "T->I" and row.language == "de")
    assert row.query_text == "rot Kreis" and row.query_image is None
    assert row.positive_image is not None
    assert corpus.group_of(row.positive_image) == "red circle"
    assert len(set(corpus.groups.values())) == 8


def test_a_bad_path_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"no such directory\. Give a release directory"):
        load_corpus(str(tmp_path / "absent"), None, "train")


def test_a_directory_without_a_dataset_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="not a dataset directory"):
        load_corpus(str(tmp_path), None, "train")


def test_a_release_without_task_configs_names_what_it_has(tmp_path: Path) -> None:
    card = "---\nconfigs:\n- config_name: reviews\n  data_files: reviews/*.parquet\n---\n"
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    (tmp_path / "reviews").mkdir()
    review = dict.fromkeys(CONFIG_SCHEMAS["reviews"].names)
    write_shard(tmp_path / "reviews" / "train-0.parquet", "reviews", [review])
    with pytest.raises(ReleaseError, match=r"none of the configs Classification, VQA.*reviews"):
        load_corpus(str(tmp_path), None, "train")


def test_a_hub_that_is_down_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ReleaseError, match=r"nobody/nothing at revision v9.*HF_ENDPOINT"):
        load_corpus("nobody/nothing", "v9.9.9", "train")
