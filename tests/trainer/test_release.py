import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.command_line import os_error_line
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


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(data: bytes) -> bytes:
    return b""


def garbled_inside(data: bytes) -> bytes:
    return data[:2000] + b"\xff" * 3000 + data[5000:]


@pytest.mark.parametrize("damage", [truncated, emptied, garbled_inside])
@pytest.mark.parametrize("config", ["Retrieval", "provenance"])
def test_a_damaged_shard_is_named_with_the_remedy(
    release: Path, tmp_path: Path, config: str, damage: Callable[[bytes], bytes]
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    shard = copy / config / "train-00000.parquet"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(ReleaseError) as refused:
        load_corpus(str(copy), None, "train")
    assert str(refused.value) == (
        f"{copy}: {config}/train-00000.parquet is damaged or no Parquet file. "
        "Fetch or release the version again."
    )


def test_a_cache_of_datasets_without_room_is_named(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file of this process may grow, as on a disk that is all but full."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(OSError) as refused:
            load_corpus(str(release), None, "train")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(cache) in os_error_line(refused.value)


def test_a_hub_that_is_down_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ReleaseError, match=r"nobody/nothing at revision v9.*HF_ENDPOINT"):
        load_corpus("nobody/nothing", "v9.9.9", "train")
