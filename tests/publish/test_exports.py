"""Exports: what other trainers' own code reads from them."""

import ast
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from builder.publish.exports import FORMATS, ExportError
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from schemas.sample import Sample
from schemas.shards import read_samples


def published(directory: Path) -> dict[str, tuple[Sample, dict[str, bytes]]]:
    found = {}
    for entry in read_manifest(directory).shards:
        if entry.config not in ("provenance", "reviews"):
            for sample, images in read_samples(directory / entry.path):
                found[sample.id] = (sample, {sha: file.data for sha, file in images.items()})
    return found


def exported(releases: Workspace, to: str, target: Path) -> Path:
    done = FORMATS[to](releases.releases_dir / "0.2.0", target, lambda done, total: None)
    assert done.num_rows == read_manifest(releases.releases_dir / "0.2.0").num_samples
    return done.directory


@pytest.mark.parametrize("to", list(FORMATS))
def test_the_same_release_exports_to_the_same_bytes(
    releases: Workspace, tmp_path: Path, to: str
) -> None:
    for name in ("a", "b"):
        exported(releases, to, tmp_path / name)
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert files
    for path in files:
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == other.read_bytes()


def test_an_export_overwrites_nothing(releases: Workspace, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="not empty"):
        exported(releases, "mme5", tmp_path / "there")
    assert (tmp_path / "there" / "mine.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_mme5_rows_are_read_as_its_trainer_reads_them(releases: Workspace, tmp_path: Path) -> None:
    from datasets import concatenate_datasets, load_dataset
    from PIL import Image

    target = exported(releases, "mme5", tmp_path / "mme5")
    subsets = ["Classification", "VQA", "Retrieval"]
    rows = concatenate_datasets(
        [
            load_dataset(str(target), name, split="train", cache_dir=str(tmp_path / "cache"))
            for name in subsets
        ]
    )
    expected = {_texts(sample) for sample, _ in published_rows(releases)}
    for row in rows:
        negatives, paths = (
            ast.literal_eval(row["neg_text"]),
            ast.literal_eval(row["neg_image_path"]),
        )
        assert isinstance(negatives, list) and len(negatives) == len(paths) == 1
        for path in (row["qry_image_path"], row["pos_image_path"], *paths):
            if path:
                Image.open(target / path).load()
        for text, path in (
            (row["qry"], row["qry_image_path"]),
            (row["pos_text"], row["pos_image_path"]),
            (negatives[0], paths[0]),
        ):
            assert ("<|image_1|>" in text) == bool(path)
        assert (row["qry"], row["pos_text"], negatives[0], row["modality"]) in expected


def published_rows(releases: Workspace) -> list[tuple[Sample, dict[str, bytes]]]:
    return list(published(releases.releases_dir / "0.2.0").values())


def _texts(sample: Sample) -> tuple[str, str, str, str]:
    query = "\n".join(filter(None, (sample.instruction, sample.query_text)))
    return (
        _token(sample.query_image) + query,
        _token(sample.positive_image) + (sample.positive_text or ""),
        _token(sample.negative_images[0]) + (sample.negative_texts[0] or ""),
        sample.modality.replace("->", "2"),
    )


def _token(image: str | None) -> str:
    return "<|image_1|>\n" if image else ""


def test_sentence_transformers_columns_hold_one_kind_of_input(
    releases: Workspace, tmp_path: Path
) -> None:
    from datasets import load_dataset

    target = exported(releases, "sentence-transformers", tmp_path / "st")
    kinds: dict[str, dict[str, Any]] = {}
    for name in ("Retrieval-T2I", "Retrieval-IT2IT", "VQA-IT2T"):
        rows = load_dataset(str(target), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert rows.column_names == ["anchor", "positive", "negative"]
        kinds[name] = rows[0]
    assert isinstance(kinds["Retrieval-T2I"]["anchor"], str)
    assert kinds["Retrieval-T2I"]["positive"].size == (40, 32)
    assert kinds["Retrieval-IT2IT"]["negative"]["image"].size == (40, 32)
    assert kinds["Retrieval-IT2IT"]["negative"]["text"]
    assert kinds["VQA-IT2T"]["anchor"]["image"].size == (40, 32)
    assert isinstance(kinds["VQA-IT2T"]["positive"], str)


def test_webdataset_tars_hold_every_sample_with_its_images(
    releases: Workspace, tmp_path: Path
) -> None:
    target = exported(releases, "webdataset", tmp_path / "wds")
    rows = published(releases.releases_dir / "0.2.0")
    seen: set[str] = set()
    for path in target.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                sample_id, _, role = member.name.partition(".")
                content = tar.extractfile(member)
                assert content is not None
                sample, images = rows[sample_id]
                if role == "json":
                    seen.add(sample_id)
                    texts = json.loads(content.read())
                    assert texts["query_text"] == sample.query_text
                    assert tuple(texts["negative_texts"]) == sample.negative_texts
                else:
                    wanted = {
                        "query.png": sample.query_image,
                        "positive.png": sample.positive_image,
                        "negative_0.png": sample.negative_images[0],
                    }[role]
                    assert wanted is not None and content.read() == images[wanted]
    assert seen == set(rows)
