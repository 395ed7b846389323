"""The quick way from JSON to Parquet gives what the plain way gives; rows find their shards."""

from collections import Counter

import orjson
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.config import ReleaseConfig
from builder.release.ahead import ahead
from builder.release.image_columns import ImageCache, ImageGroups
from builder.release.layout import plan_layout, position_of
from builder.release.rows import _HASH_SCHEMA, _read_json
from schemas.features import SAMPLE_SCHEMA
from schemas.sample import Sample
from schemas.shards import ImageFile, sample_record
from tests.schemas.strategies import samples


def read_image(sha256: str) -> ImageFile:
    return ImageFile(bytes.fromhex(sha256) * (1 + int(sha256[0], 16)), f"{sha256}.png")


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(samples(), min_size=1, max_size=40))
def test_json_to_arrow_equals_the_plain_records(rows: list[Sample]) -> None:
    raw = [orjson.dumps(row.model_dump(mode="json")) for row in rows]
    table = _read_json(raw, _HASH_SCHEMA)
    images = ImageGroups(ImageCache(read_image, max_bytes=500))
    # A group is good until the next but one is asked for, so each is copied at once.
    found = [row for group in images.groups(table, SAMPLE_SCHEMA) for row in group.to_pylist()]
    images.close()
    plain = pa.Table.from_pylist(
        [sample_record(row, read_image) for row in rows], schema=SAMPLE_SCHEMA
    )
    assert found == plain.to_pylist()


def test_groups_are_bounded_in_bytes(monkeypatch) -> None:
    monkeypatch.setattr("builder.release.image_columns.MAX_GROUP_BYTES", 1_000)
    fixed = {
        "id": "0" * 24,
        "language": "en",
        "task_type": "vqa",
        "modality": "IT->T",
        "instruction": "i",
        "query_text": "q",
        "positive_text": "p",
        "negative_texts": ["n"],
        "negative_images": [None],
        **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 3),
    }
    hashes = [f"{number:064x}" for number in range(100)]
    raw = [
        orjson.dumps(Sample.model_validate(fixed | {"query_image": sha}).model_dump(mode="json"))
        for sha in hashes
    ]
    images = ImageGroups(ImageCache(lambda sha256: ImageFile(b"x" * 300, f"{sha256}.png")))
    sizes = [g.num_rows for g in images.groups(_read_json(raw, _HASH_SCHEMA), SAMPLE_SCHEMA)]
    images.close()
    assert sum(sizes) == 100 and set(sizes) == {3, 1}


def test_ahead_keeps_order_and_passes_errors_on() -> None:
    assert list(ahead(iter(range(50)))) == list(range(50))

    def broken():
        yield 1
        raise OSError("disk")

    items = ahead(broken())
    assert next(items) == 1
    try:
        next(items)
    except OSError as exc:
        assert str(exc) == "disk"
    else:
        raise AssertionError("the error was lost")


def counts(num_rows: int) -> Counter[tuple[str, str, str]]:
    return Counter({("vqa", "IT->T", "en"): num_rows, ("vqa", "IT->T", "fr"): num_rows // 4})


def test_a_small_set_has_one_shard_a_split() -> None:
    layout = plan_layout(counts(3_000), ReleaseConfig(), 0.1, 5_000)
    for split in ("train", "validation"):
        stream = layout.sample_stream("VQA", split, "fr")
        assert (stream.num_buckets, stream.path(0)) == (
            1,
            f"data/VQA/{split}-00-of-01.parquet",
        )


def test_a_large_language_has_shards_of_its_own() -> None:
    layout = plan_layout(counts(400_000), ReleaseConfig(), 0.1, 100)
    english = layout.sample_stream("VQA", "train", "en")
    assert english.num_buckets == 16 and english.path(3) == "data/VQA/train-en-03-of-16.parquet"
    # French has enough rows for shards of its own; a language that comes later has not.
    assert layout.sample_stream("VQA", "train", "fr").group == "fr"
    assert layout.sample_stream("VQA", "train", "eo").group == "other"


def test_heavy_images_make_more_shards() -> None:
    light = plan_layout(counts(20_000), ReleaseConfig(), 0.1, 100)
    heavy = plan_layout(counts(20_000), ReleaseConfig(), 0.1, 100_000)
    assert light.sample_stream("VQA", "train", "en").num_buckets == 1
    assert heavy.sample_stream("VQA", "train", "en").num_buckets == 8


@given(st.text("0123456789abcdef", min_size=24, max_size=24))
def test_growth_splits_shards_and_never_shuffles_them(sample_id: str) -> None:
    position = position_of(sample_id)
    streams = [
        plan_layout(counts(num), ReleaseConfig(rows_a_shard=100), 0.1, 1).provenance_stream("train")
        for num in (100, 200, 400)
    ]
    buckets = [stream.bucket_of(position) for stream in streams]
    assert [num.num_buckets for num in streams] == [2, 4, 8]
    assert buckets[0] == buckets[1] // 2 == buckets[2] // 4
