from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import RowError
from schemas.features import SAMPLE_SCHEMA, with_footer
from schemas.sample import Sample
from schemas.shards import (
    ImageFile,
    parse_record,
    read_records,
    read_samples,
    sample_record,
    write_shard,
)
from schemas.vocabulary import CELLS
from tests.schemas.strategies import samples


def read_image(sha256: str) -> ImageFile:
    return ImageFile(b"bytes of " + sha256.encode(), f"{sha256}.webp")


def one_of(cell_index: int = 0) -> Sample:
    cell = CELLS[cell_index]
    return Sample.model_validate(
        {
            "id": "0" * 24,
            "language": "ar",
            "task_type": cell.task_type,
            "modality": cell.modality,
            "instruction": "Name the picture.",
            "query_image": "a" * 64,
            "positive_text": "تفاحة",
            "negative_texts": ("إجاص",),
            "negative_images": (None,),
            "relevance": 5,
            "plausibility": 4,
            "clarity": 3,
            "diversity": 2,
        }
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(samples(), min_size=1, max_size=8))
def test_rows_come_back_from_parquet_unchanged(tmp_path: Path, rows: list[Sample]) -> None:
    shard = tmp_path / "train-0.parquet"
    write_shard(shard, "Retrieval", (sample_record(row, read_image) for row in rows))
    back = list(read_samples(shard))
    assert [row for row, _ in back] == rows
    for row, images in back:
        assert {sha: read_image(sha) for sha in row.images} == images


@settings(max_examples=10, deadline=None)
@given(row=samples())
def test_content_hash_covers_texts_and_not_scores(row: Sample) -> None:
    assert row.model_copy(update={"clarity": 1}).content_hash == row.content_hash
    assert (
        row.model_copy(update={"instruction": row.instruction + "."}).content_hash
        != row.content_hash
    )


def test_same_rows_give_same_bytes(tmp_path: Path) -> None:
    row = one_of()
    for name in ("a", "b"):
        write_shard(tmp_path / name, "Classification", [sample_record(row, read_image)] * 250)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_row_groups_stay_small_and_images_uncompressed(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "s.parquet", "Classification", [sample_record(one_of(), read_image)] * 2_500
    )
    metadata = pq.ParquetFile(tmp_path / "s.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [
        1_000,
        1_000,
        500,
    ]
    columns = {
        column["path_in_schema"]: column["compression"]
        for column in metadata.row_group(0).to_dict()["columns"]
    }
    assert columns["query_image.bytes"] == "UNCOMPRESSED"
    assert columns["positive_text"] == "ZSTD"


def test_features_from_the_footer_are_those_that_datasets_would_write() -> None:
    import datasets

    features = datasets.Features.from_arrow_schema(with_footer(SAMPLE_SCHEMA))
    assert isinstance(features["query_image"], datasets.Image)
    assert features.arrow_schema.equals(SAMPLE_SCHEMA)
    assert features["negative_images"] == datasets.List(datasets.Image())
    assert features["negative_texts"] == datasets.List(datasets.Value("string"))


def test_a_bad_row_is_named_with_shard_row_id_and_field(tmp_path: Path) -> None:
    record = sample_record(one_of(), read_image) | {"clarity": 9}
    write_shard(tmp_path / "train-0.parquet", "Classification", [record])
    with pytest.raises(RowError) as caught:
        list(read_samples(tmp_path / "train-0.parquet"))
    assert caught.value.field == "clarity"
    message = str(caught.value)
    assert "train-0.parquet, row 0" in message
    assert '"000000000000000000000000"' in message
    assert "Regenerate or drop" in message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"positive_text": ""}, "positive_text"),
        ({"language": "xx"}, "language"),
        ({"query_image": None}, "query_image"),
        ({"query_text": "stray"}, "query_text"),
        ({"negative_texts": []}, "negative"),
        ({"negative_texts": ["تفاحة"]}, "equals the positive"),
        ({"modality": "T->T"}, "modality"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_rows_that_break_the_contract_are_refused(change: dict[str, object], word: str) -> None:
    record = {**sample_record(one_of(), read_image), **change}
    with pytest.raises(RowError, match=word):
        parse_record(record)


def test_records_can_be_read_without_their_images(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.parquet", "Classification", [sample_record(one_of(), read_image)])
    assert list(read_records(tmp_path / "s.parquet", ["id", "positive_text"])) == [
        {"id": "0" * 24, "positive_text": "تفاحة"}
    ]
    assert isinstance(SAMPLE_SCHEMA, pa.Schema)
