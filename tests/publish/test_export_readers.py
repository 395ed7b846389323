"""Exports keep the contract of the code that reads them, restated here for each reader."""

import ast
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Features, Image, List, concatenate_datasets, load_dataset
from PIL import Image as PillowImage

from builder.progress import no_progress
from builder.publish.exports import FORMATS
from builder.workspace import Workspace
from schemas.features import IMAGE
from schemas.manifest import read_manifest
from schemas.sample import Sample
from schemas.shards import read_samples

SUBSETS = ("Classification", "Retrieval", "VQA")
#: What an encoder is given for one side of a row.
Side = tuple[str, bytes | None]
TOKEN = "<|image_1|>"


@pytest.fixture(scope="module")
def exports(releases: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("exports")
    release = releases.releases_dir / "0.2.0"
    return {
        name: write(release, root / name, no_progress).directory for name, write in FORMATS.items()
    }


@pytest.fixture(scope="module")
def expected(releases: Workspace) -> dict[str, set[tuple[Side, Side, Side]]]:
    """What query, positive and hard negative of every training row are, by subset."""
    release = releases.releases_dir / "0.2.0"
    rows: dict[str, set[tuple[Side, Side, Side]]] = {}
    for entry in read_manifest(release).shards:
        if entry.config in SUBSETS and entry.split == "train":
            for sample, images in read_samples(release / entry.path):
                data = {sha256: pixels(file.data) for sha256, file in images.items()}
                rows.setdefault(entry.config, set()).add(sides(sample, data))
    return rows


def sides(sample: Sample, data: dict[str, bytes]) -> tuple[Side, Side, Side]:
    query = "\n".join(filter(None, (sample.instruction, sample.query_text)))
    return (
        (query, data.get(sample.query_image or "")),
        (sample.positive_text or "", data.get(sample.positive_image or "")),
        (sample.negative_texts[0] or "", data.get(sample.negative_images[0] or "")),
    )


def pixels(data: bytes) -> bytes:
    return PillowImage.open(io.BytesIO(data)).convert("RGB").tobytes()


def opened(image_dir: Path, path: str) -> bytes | None:
    """Both trainers join the path to their image directory and open it, unless it is ""."""
    return pixels((image_dir / path).read_bytes()) if path else None


def without_token(text: str, image: bytes | None) -> Side:
    """Processors put pixels where the token is: one for an image, none without."""
    assert text.count(TOKEN) == (image is not None)
    return text.removeprefix(f"{TOKEN}\n"), image


def as_vlm2vec(row: dict[str, Any], image_dir: Path) -> tuple[Side, Side, Side]:
    """VLM2Vec: columns are strings, the token is replaced in each, empty rows are skipped."""
    read: list[Side] = []
    for text, path in (("qry", "qry_image_path"), ("pos_text", "pos_image_path"),
                       ("neg_text", "neg_image_path")):  # fmt: skip
        assert isinstance(row[text], str) and isinstance(row[path], str)
        assert row[text] or row[path]
        replaced = row[text].replace(TOKEN, "<|image_pad|>").replace("<|image_pad|>", TOKEN)
        read.append(without_token(replaced, opened(image_dir, row[path])))
    return read[0], read[1], read[2]


def as_mme5(row: dict[str, Any], image_dir: Path) -> tuple[Side, Side, Side]:
    """mmE5: `neg_*` are literals of lists, cut or repeated to the number of negatives."""
    texts, paths = (ast.literal_eval(row[name]) for name in ("neg_text", "neg_image_path"))
    assert len(texts) == len(paths) >= 1
    query = without_token(row["qry"], opened(image_dir, row["qry_image_path"]))
    positive = without_token(row["pos_text"], opened(image_dir, row["pos_image_path"]))
    return query, positive, without_token(texts[0], opened(image_dir, paths[0]))


@pytest.mark.parametrize(("name", "read"), [("vlm2vec", as_vlm2vec), ("mme5", as_mme5)])
def test_every_row_loads_as_its_trainer_reads_it(
    exports: dict[str, Path],
    expected: dict[str, set[tuple[Side, Side, Side]]],
    tmp_path: Path,
    name: str,
    read: Callable[[dict[str, Any], Path], tuple[Side, Side, Side]],
) -> None:
    target = exports[name]
    for subset in SUBSETS:
        rows = load_dataset(str(target), subset, split="train", cache_dir=str(tmp_path))
        assert {read(dict(row), target) for row in rows} == expected[subset]
    # Both trainers join their subsets, so columns and types must agree.
    parts = [load_dataset(str(target), s, split="train", cache_dir=str(tmp_path)) for s in SUBSETS]
    assert concatenate_datasets(parts).num_rows == sum(part.num_rows for part in parts)


def test_vlm2vec_is_told_how_to_load_every_subset(exports: dict[str, Path]) -> None:
    readme = (exports["vlm2vec"] / "README.md").read_text(encoding="utf-8")
    config = yaml.safe_load(readme.split("```yaml\n")[1].split("```")[0])
    assert set(config) == set(SUBSETS)
    for name, entry in config.items():
        known = {"dataset_parser", "dataset_name", "subset_name", "dataset_split", "image_dir"}
        assert set(entry) == {*known, "weight"}
        assert (entry["subset_name"], entry["dataset_parser"]) == (name, "mmeb")
        path = exports["vlm2vec"] / "data" / name / f"{entry['dataset_split']}.parquet"
        assert entry["weight"] == pq.read_metadata(path).num_rows


def test_vlm2vec_gets_the_first_of_several_hard_negatives(
    releases: Workspace, tmp_path: Path
) -> None:
    from builder.publish.exports.image_folder import ImageFolder
    from builder.publish.exports.vlm2vec import _row

    record = {
        "instruction": "Find it.",
        "query_text": None,
        "query_image": None,
        "positive_text": "a",
        "positive_image": None,
        "negative_texts": ["b", "c"],
        "negative_images": [None, None],
    }
    assert _row(record, ImageFolder(tmp_path))["neg_text"] == "b"
    assert (
        _row(record | {"negative_texts": [], "negative_images": []}, ImageFolder(tmp_path))[
            "neg_text"
        ]
        == ""
    )


#: What `datasets` 3 knows of the words in a footer.
WORDS_OF_3 = {"Value", "Image", "Sequence"}


def old_type(feature: Any) -> pa.DataType:
    """The Arrow type that `datasets` 3 gives a feature; a `Sequence` of a struct is turned over."""
    if isinstance(feature, list):
        return pa.list_(old_type(feature[0]))
    if "_type" not in feature:
        return pa.struct([(name, old_type(child)) for name, child in feature.items()])
    if feature["_type"] not in WORDS_OF_3:
        raise ValueError(f"Feature type '{feature['_type']}' not found.")
    if feature["_type"] == "Image":
        return IMAGE
    if feature["_type"] == "Sequence":
        inner = old_type(feature["feature"])
        if pa.types.is_struct(inner) and "_type" not in feature["feature"]:
            return pa.struct([(child.name, pa.list_(child.type)) for child in inner])
        return pa.list_(inner)
    return {"string": pa.string(), "float64": pa.float64()}.get(
        feature["dtype"]
    ) or pa.type_for_alias(feature["dtype"])


def parquet_files(releases: Workspace, exports: dict[str, Path]) -> list[Path]:
    folders = [releases.releases_dir / "0.2.0", *exports.values()]
    return [path for folder in folders for path in sorted(folder.rglob("*.parquet"))]


def test_footers_are_read_alike_by_datasets_3_and_5(
    releases: Workspace, exports: dict[str, Path]
) -> None:
    import json

    paths = parquet_files(releases, exports)
    assert {path.parent.name for path in paths} >= {*SUBSETS, "provenance", "reviews"}
    for path in paths:
        schema = pq.read_schema(path)
        words = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        for name, feature in words.items():
            # Where the types differ, the reader falls back to plain structs without a word.
            assert old_type(feature).equals(schema.field(name).type), f"{path}: {name}"
        features = Features.from_arrow_schema(schema)
        for field in schema:
            if field.type.equals(IMAGE):
                assert isinstance(features[field.name], Image)
            if field.type.equals(pa.list_(IMAGE)):
                assert features[field.name] == List(Image())
