"""A version is read as its manifest says, a row at a time, and refused where it is not."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from curation_app.data.version import DatasetError, VersionDataset, open_dataset
from schemas.errors import RowError
from schemas.versions import VersionError
from tests.curation_app.tiny_release import tiny_samples, write_release


def test_every_row_comes_back_with_its_images(dataset: VersionDataset) -> None:
    samples, images = tiny_samples()
    assert [dataset.sample_id(row) for row in range(len(dataset))] == sorted(
        dataset.sample_id(row) for row in range(len(dataset))
    )
    for sample in samples:
        row = dataset.row_of(sample.id)
        assert row is not None
        loaded = dataset.load(row)
        assert loaded.sample == sample
        assert {sha: file.data for sha, file in loaded.images.items()} == {
            sha: images[sha] for sha in sample.images
        }


def test_content_hashes_need_no_images(dataset: VersionDataset) -> None:
    rows = list(range(len(dataset)))
    expected = {row: dataset.load(row).content_hash for row in rows}
    assert dataset.content_hashes(rows) == expected


def test_rows_are_found_by_id_and_by_filter(dataset: VersionDataset) -> None:
    assert dataset.row_of("f" * 24) is None
    assert dataset.row_of("") is None
    rows = np.flatnonzero(dataset.matching(language="ar", task_type="vqa", modality=None))
    assert [dataset.value("language", int(row)) for row in rows] == ["ar"]
    assert not dataset.matching(language="xx").any()
    assert dataset.counts("language")["he"] == 6


def test_a_missing_shard_is_named(release: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    (copy / "data" / "VQA" / "train-0.parquet").unlink()
    with pytest.raises(VersionError, match=r"VQA/train-0\.parquet: missing.*again"):
        open_dataset(str(copy))


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    samples, images = tiny_samples()
    release = write_release(tmp_path, [samples[0], samples[0]], images)
    with pytest.raises(DatasetError, match=f'id "{samples[0].id}" stands there twice'):
        open_dataset(str(release))


def test_a_row_that_breaks_the_contract_names_itself(tmp_path: Path) -> None:
    samples, images = tiny_samples()
    broken = samples[0].model_copy(update={"language": "xx"})
    dataset = open_dataset(str(write_release(tmp_path, [broken], images)))
    with pytest.raises(RowError, match=f'row 0 \\(id "{broken.id}"\\).*not one of the 93'):
        dataset.load(0)


def test_what_is_no_release_is_said(tmp_path: Path) -> None:
    for name in (str(tmp_path), "nothing-there", "a/b/c@1"):
        with pytest.raises(VersionError, match="Name a release directory"):
            open_dataset(name)


def test_a_directory_is_only_the_version_it_says_it_is(release: Path) -> None:
    assert len(open_dataset(f"{release}@v0.1.0")) == 32
    with pytest.raises(VersionError, match=r"this directory is version 0\.1\.0, not 0\.2\.0"):
        open_dataset(f"{release}@0.2.0")
