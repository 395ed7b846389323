"""A row's provenance is found by id, and missing provenance is no error."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from curation_app.data.provenance import Provenance
from curation_app.data.version import DatasetError, VersionDataset, open_dataset
from schemas.manifest import ReleaseManifest, ShardEntry, read_manifest
from schemas.shards import write_shard

SHARD = "data/provenance/train-0.parquet"


def record(dataset: VersionDataset, row: int) -> dict[str, Any]:
    """A provenance record as the builder publishes it, made from the row itself."""
    sample = dataset.load(row).sample
    criterion = {"score": 4, "reason": "The texts name what the drawing shows."}
    names = ("relevance", "plausibility", "clarity", "diversity")
    evaluation = {**dict.fromkeys(names, criterion), "improvements": "Say it more plainly."}
    draft = {
        "instruction": sample.instruction,
        "query_text": sample.query_text,
        "positive_text": sample.positive_text,
        "negative_text": sample.negative_texts[0],
    }
    return {
        **{"id": sample.id, "language": sample.language, "task_type": sample.task_type},
        **{"modality": sample.modality, "teacher_model": "drawn", "prompt_hash": "p"},
        **{"request_hash": "r", "seed": row, "round": 0, "length": "short"},
        **{"difficulty": "easy", "text_register": "plain", "task_idea": "find it"},
        "interpretations": [
            {
                "image": "query",
                "general": "A shape in one colour.",
                "objects": "One shape.",
                "context": "On white.",
                "task_ideas": "Name it.",
            }
        ],
        **{"draft": draft, "evaluation": evaluation, "revision": draft},
        **{"judge": None, "judge_model": None, "cost_usd": None},
        **{"prompt_tokens": 10, "completion_tokens": 5},
        "checks": [{"check": "too_long", "result": "kept"}],
        "language_votes": [{"field": "query_text", "identifier": "cld2", "detected": "en"}],
        "images": [
            {
                "role": "query",
                "sha256": sha256,
                "group": sha256,
                "source": "drawn",
                "licence": "CC0-1.0",
                "licence_id": "CC0-1.0",
                "original_sha256": "e" * 64,
                "original_format": "JPEG",
                "original_width": 4_000,
                "original_height": 3_000,
                "original_bytes": 3_500_000,
                "shown_text": None,
            }
            for sha256 in sample.images[:1]
        ],
    }


def add_provenance(release: Path, dataset: VersionDataset) -> Path:
    path = release / SHARD
    path.parent.mkdir(parents=True)
    num_rows = write_shard(path, "provenance", [record(dataset, row) for row in range(20)])
    entry = ShardEntry(
        path=SHARD,
        config="provenance",
        split="train",
        key="0",
        num_rows=num_rows,
        num_bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        rows_hash="",
    )
    manifest: ReleaseManifest = read_manifest(release)
    manifest = manifest.model_copy(update={"shards": [*manifest.shards, entry]})
    (release / "manifest.json").write_bytes(orjson.dumps(manifest.model_dump(mode="json")))
    return release


@pytest.fixture
def traced(release: Path, dataset: VersionDataset, tmp_path: Path) -> VersionDataset:
    """The small release with provenance of its first twenty rows."""
    copy = Path(shutil.copytree(release, tmp_path / "traced"))
    return open_dataset(str(add_provenance(copy, dataset)))


def test_a_row_gives_the_record_it_was_published_with(traced: VersionDataset) -> None:
    provenance = Provenance(traced)
    for row in (0, 7, 19):
        assert provenance.of(traced.sample_id(row)) == record(traced, row)


def test_a_row_without_a_record_gives_none(traced: VersionDataset) -> None:
    provenance = Provenance(traced)
    assert provenance.of(traced.sample_id(20)) is None
    assert provenance.of("") is None
    assert provenance.of("' OR 1=1 --") is None


def test_a_version_without_provenance_gives_none(dataset: VersionDataset) -> None:
    provenance = Provenance(dataset)
    assert not provenance.is_available
    assert provenance.of(dataset.sample_id(0)) is None


def test_files_that_were_not_fetched_give_none(traced: VersionDataset) -> None:
    (traced.directory / SHARD).unlink()
    assert Provenance(traced).of(traced.sample_id(0)) is None


def test_a_damaged_file_is_named(traced: VersionDataset) -> None:
    (traced.directory / SHARD).write_bytes(b"PAR1 no longer")
    with pytest.raises(DatasetError, match=r"train-0\.parquet: not Parquet.*again"):
        Provenance(traced).of(traced.sample_id(0))
