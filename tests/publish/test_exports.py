"""Exports: what other trainers' own code reads from them."""

import ast
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from builder.config import BuildConfig, save_config
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.progress import no_progress
from builder.publish.exports import FORMATS, ExportError
from builder.release import Version, open_inputs, release
from builder.workspace import Workspace, open_workspace
from schemas.manifest import read_manifest
from schemas.sample import Sample
from schemas.shards import read_samples
from tests.release.small_workspace import fill_ledger, picture


def published(directory: Path) -> dict[str, tuple[Sample, dict[str, bytes]]]:
    found = {}
    for entry in read_manifest(directory).shards:
        if entry.config not in ("provenance", "reviews"):
            for sample, images in read_samples(directory / entry.path):
                found[sample.id] = (sample, {sha: file.data for sha, file in images.items()})
    return found


def exported(releases: Workspace, to: str, target: Path) -> Path:
    done = FORMATS[to](releases.releases_dir / "0.2.0", target, no_progress)
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


@pytest.mark.parametrize("to", list(FORMATS))
def test_every_export_says_on_what_terms_it_stands(
    releases: Workspace, tmp_path: Path, to: str
) -> None:
    target = exported(releases, to, tmp_path / "out")
    licences = (releases.releases_dir / "0.2.0" / "LICENSE.md").read_text(encoding="utf-8")
    assert "| images | set | MIT |" in licences
    assert (target / "LICENSE.md").read_text(encoding="utf-8") == licences
    head = yaml.safe_load((target / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert (head["license"], head["license_link"]) == (["mit", "other"], "LICENSE.md")


def test_a_release_without_a_licence_file_exports_what_its_manifest_knows(
    releases: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(releases.releases_dir / "0.2.0", tmp_path / "0.2.0")
    (tmp_path / "0.2.0" / "LICENSE.md").unlink()
    num_images = read_manifest(tmp_path / "0.2.0").licences["MIT"]
    FORMATS["mme5"](tmp_path / "0.2.0", tmp_path / "out", no_progress)
    assert f"| MIT | {num_images} |" in (tmp_path / "out" / "LICENSE.md").read_text()


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


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with images of two formats; only VQA rows have an alignment each."""
    workspace = open_workspace(tmp_path_factory.mktemp("mixed") / "ws", create=True)
    config = BuildConfig(name="mixed")
    config.images.validation_share = 0.25
    save_config(config, workspace.config_path)
    with ImageStore(workspace.images_dir) as store:
        facts = {"licence": "MIT", "source": "set/x"}
        hashes = [
            store.add(content(number), group=f"group-{number // 2}", **facts).sha256
            for number in range(40)
        ]
    fill_ledger(workspace, hashes, 120)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction():
        ledger.db.execute(
            "UPDATE outcome SET sample = CAST(replace(CAST(sample AS TEXT), "
            "'\"alignment\":null', '\"alignment\":0.5') AS BLOB) WHERE task_type = 'vqa'"
        )
    with open_inputs(workspace, None) as inputs:
        return release(inputs, Version.parse("0.1.0"), workspace.releases_dir).directory


def content(number: int) -> bytes:
    """A PNG, or for every third number a JPEG."""
    if number % 3:
        return picture(number)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture(number))).save(buffer, format="JPEG")
    return buffer.getvalue()


def loaded_series(target: Path, config: str, cache: Path) -> list[list[dict[str, Any]]]:
    """The rows of a config's training tars, whole, streamed, and by the export's own README."""
    from datasets import load_dataset

    files = {"train": str(target / f"{config}-train-*.tar")}
    kept = {"cache_dir": str(cache), "split": "train"}
    return [
        list(load_dataset("webdataset", data_files=files, **kept)),
        list(load_dataset("webdataset", data_files=files, streaming=True, **kept)),
        list(load_dataset(str(target), config, **kept)),
    ]


def test_datasets_loads_every_series_of_tars(mixed: Path, tmp_path: Path) -> None:
    target = tmp_path / "wds"
    FORMATS["webdataset"](mixed, target, no_progress)
    rows = published(mixed)
    configs = {path.name.split("-train-")[0] for path in target.glob("*-train-000000.tar")}
    assert len(configs) == 10
    seen: set[str] = set()
    for config in sorted(configs):
        for loaded in loaded_series(target, config, tmp_path / "cache"):
            assert loaded
            for row in loaded:
                sample, images = rows[row["__key__"]]
                assert f"{sample.config}-{sample.modality.replace('->', '2')}" == config
                assert row["json"]["positive_text"] == sample.positive_text
                found = {name.split(".")[0]: name for name in row if "." in name}
                wanted = {
                    "query": sample.query_image,
                    "positive": sample.positive_image,
                    "negative_0": sample.negative_images[0],
                }
                assert set(found) == {role for role, sha256 in wanted.items() if sha256}
                for role, name in found.items():
                    original = Image.open(io.BytesIO(images[wanted[role] or ""]))
                    assert row[name].format == original.format
                    assert row[name].tobytes() == original.tobytes()
            seen |= {row["__key__"] for row in loaded}
    in_training = read_manifest(mixed).num_by_config
    assert len(seen) == sum(
        in_training[name]["train"] for name in ("Classification", "VQA", "Retrieval")
    )


def test_alignment_is_in_a_series_of_tars_when_every_sample_has_one(
    mixed: Path, tmp_path: Path
) -> None:
    target = tmp_path / "wds"
    FORMATS["webdataset"](mixed, target, no_progress)
    rows = published(mixed)
    with_alignment: set[str] = set()
    for path in target.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    texts = json.loads(file.read())
                    if "alignment" in texts:
                        with_alignment.add(path.name.split("-")[0])
                        assert texts["alignment"] == rows[texts["id"]][0].alignment
    assert with_alignment == {"VQA"}
