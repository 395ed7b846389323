"""The quick way from JSON to Parquet gives what the plain way gives; rows find their shards."""

from collections import Counter
from collections.abc import Collection

import numpy as np
import orjson
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.config import ReleaseConfig
from builder.images.record import ImageRecord
from builder.ledger.json_rows import read_json_rows
from builder.release.image_columns import ImageGroups
from builder.release.layout import plan_layout, position_of
from builder.release.prefetch import prefetch
from builder.release.rows import _HASH_SCHEMA
from schemas.features import SAMPLE_SCHEMA
from schemas.sample import Sample
from schemas.shards import ImageFile, sample_record
from tests.schemas.strategies import samples


def read_image(sha256: str) -> ImageFile:
    return ImageFile(bytes.fromhex(sha256) * (1 + int(sha256[0], 16)), f"{sha256}.png")


class MadeImages:
    """Images that follow from their name; counts how often each was read."""

    def __init__(self, num_bytes: int | None = None) -> None:
        self.num_bytes = num_bytes
        self.num_reads: Counter[str] = Counter()

    def _data(self, sha256: str) -> bytes:
        return read_image(sha256).data if self.num_bytes is None else b"x" * self.num_bytes

    def records_of(self, hashes: Collection[str]) -> dict[str, ImageRecord]:
        return {
            sha256: ImageRecord(
                sha256, "PNG", 1, 1, len(self._data(sha256)), "", sha256, "MIT", "made"
            )
            for sha256 in hashes
        }

    def read_into(self, record: ImageRecord, into: memoryview) -> None:
        self.num_reads[record.sha256] += 1
        into[:] = self._data(record.sha256)


def one_row(query_image: str) -> Sample:
    return Sample.model_validate(
        {
            "id": "0" * 24,
            "language": "en",
            "task_type": "vqa",
            "modality": "IT->T",
            "instruction": "i",
            "query_text": "q",
            "query_image": query_image,
            "positive_text": "p",
            "negative_texts": ["n"],
            "negative_images": [None],
            **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 3),
        }
    )


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(samples(), min_size=1, max_size=40))
def test_json_to_arrow_equals_the_plain_records(rows: list[Sample]) -> None:
    raw = [orjson.dumps(row.model_dump(mode="json")) for row in rows]
    table = read_json_rows(raw, _HASH_SCHEMA)
    images = ImageGroups(MadeImages())
    # A group is good until the next but one is asked for, so each is copied at once.
    found = [row for group in images.groups(table, SAMPLE_SCHEMA) for row in group.to_pylist()]
    images.close()
    plain = pa.Table.from_pylist(
        [sample_record(row, read_image) for row in rows], schema=SAMPLE_SCHEMA
    )
    assert found == plain.to_pylist()


def test_groups_are_bounded_in_bytes(monkeypatch) -> None:
    monkeypatch.setattr("builder.release.image_columns.MAX_GROUP_BYTES", 1_000)
    hashes = [f"{number:064x}" for number in range(100)]
    raw = [orjson.dumps(one_row(sha).model_dump(mode="json")) for sha in hashes]
    images = ImageGroups(MadeImages(300))
    sizes = [g.num_rows for g in images.groups(read_json_rows(raw, _HASH_SCHEMA), SAMPLE_SCHEMA)]
    images.close()
    assert sum(sizes) == 100 and set(sizes) == {3, 1}


def test_an_image_that_stays_is_read_once_and_one_too_large_for_a_group_stands_alone(
    monkeypatch,
) -> None:
    monkeypatch.setattr("builder.release.image_columns.MAX_GROUP_BYTES", 1_000)
    once, often = f"{1:064x}", f"{2:064x}"
    raw = [orjson.dumps(one_row(sha).model_dump(mode="json")) for sha in [often] * 8 + [once]]
    made = MadeImages(400)
    images = ImageGroups(made)
    groups = images.groups(read_json_rows(raw, _HASH_SCHEMA), SAMPLE_SCHEMA)
    found = [[row["query_image"]["path"][:64] for row in g.to_pylist()] for g in groups]
    assert found == [[often] * 2] * 4 + [[once]]
    assert made.num_reads == {often: 1, once: 1}
    made.num_bytes = 5_000
    groups = images.groups(read_json_rows(raw, _HASH_SCHEMA), SAMPLE_SCHEMA)
    rows = [row["query_image"] for g in groups for row in g.to_pylist()]
    images.close()
    assert [len(image["bytes"]) for image in rows] == [5_000] * 9


def test_ahead_keeps_order_and_passes_errors_on() -> None:
    assert list(prefetch(iter(range(50)))) == list(range(50))

    def broken():
        yield 1
        raise OSError("disk")

    items = prefetch(broken())
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
        plan_layout(counts(num), ReleaseConfig(rows_per_shard=100), 0.1, 1).provenance_stream(
            "train"
        )
        for num in (100, 200, 400)
    ]
    buckets = [int(stream.buckets_of(np.array([position]))[0]) for stream in streams]
    assert [num.num_buckets for num in streams] == [2, 4, 8]
    assert buckets[0] == buckets[1] // 2 == buckets[2] // 4
