"""What is published and sent is derived from the models, and is byte for byte what it was."""

import json
from datetime import datetime
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pytest
from pydantic import BaseModel

from schemas.features import (
    IMAGE,
    PROVENANCE_SCHEMA,
    REVIEW_SCHEMA,
    SAMPLE_SCHEMA,
    arrow_schema,
    image_columns_of,
    leaf_columns,
    with_footer,
    with_image_names,
)
from schemas.reply import judge_schema, reply_schema
from schemas.sample import CONTENT_FIELDS, SCORES, Sample, sample_id
from schemas.text_rules.settings import TextRulesConfig
from schemas.vocabulary import CELL_BY_NAME

GOLDEN_DIR = Path(__file__).parent / "golden"
SCHEMAS = {"sample": SAMPLE_SCHEMA, "provenance": PROVENANCE_SCHEMA, "reviews": REVIEW_SCHEMA}
FOOTERS = {
    "sample": {
        "query_image": {"_type": "Image"},
        "positive_image": {"_type": "Image"},
        "negative_images": {"feature": {"_type": "Image"}, "_type": "Sequence"},
    },
    "provenance": {},
    "reviews": {},
}
ROW = {
    "id": "0" * 24,
    "language": "ar",
    "task_type": "retrieval",
    "modality": "IT->IT",
    "instruction": "Find the picture of the same fruit.",
    "query_text": "تفاحة حمراء",
    "query_image": "a" * 64,
    "positive_text": "تفاحة",
    "positive_image": "b" * 64,
    "negative_texts": ("إجاص", "موز"),
    "negative_images": ("c" * 64, "d" * 64),
    "relevance": 5,
    "plausibility": 4,
    "clarity": 3,
    "diversity": 2,
    "alignment": 0.25,
}


def test_columns_are_those_of_every_version_so_far() -> None:
    lines = [
        f"{name}.{field.name}: {field.type}\n"
        for name, schema in SCHEMAS.items()
        for field in schema
    ]
    assert "".join(lines) == (GOLDEN_DIR / "columns.txt").read_text(encoding="utf-8")
    assert all(field.nullable and not field.metadata for s in SCHEMAS.values() for field in s)


@pytest.mark.parametrize("name", SCHEMAS)
def test_footers_name_the_images_in_words_that_every_reader_knows(name: str) -> None:
    footer = json.loads(with_footer(SCHEMAS[name]).metadata[b"huggingface"])
    assert footer == {"info": {"features": FOOTERS[name]}}


def test_images_in_a_list_of_structs_are_refused() -> None:
    pages = pa.list_(pa.struct([("caption", pa.string()), pa.field("image", IMAGE)]))
    with pytest.raises(TypeError, match="before 4"):
        with_footer(pa.schema([("pages", pages)]))


def test_a_known_row_keeps_its_id_and_content_hash() -> None:
    sample = Sample.model_validate(ROW)
    known = "de7f1ea429bc93f9e02fbd8756cab5ee29c4b8b4d33978a2f980520d7c0e403e"
    assert sample.content_hash == known
    assert sample_id({name: ROW[name] for name in CONTENT_FIELDS}) == known[:24]


def test_content_is_everything_but_the_id_and_what_was_judged() -> None:
    assert tuple(ROW)[1:11] == CONTENT_FIELDS


def test_scores_are_named_alike_everywhere() -> None:
    assert SCORES == ("relevance", "plausibility", "clarity", "diversity")
    assert set(SCORES) < set(Sample.model_fields)
    kind = TextRulesConfig.model_fields["min_scores"].annotation
    assert get_args(get_args(kind)[0]) == SCORES


def test_a_type_without_a_column_says_what_to_do() -> None:
    class Row(BaseModel):
        when: datetime

    with pytest.raises(TypeError, match=r"datetime.*has no column type. Note one in `Annotated`"):
        arrow_schema(Row)


def test_leaves_and_image_names_follow_the_schema() -> None:
    leaves = leaf_columns(SAMPLE_SCHEMA)
    assert "negative_images.list.element.bytes" in leaves
    texts = leaf_columns(SAMPLE_SCHEMA, image_bytes=False)
    assert set(leaves) - set(texts) == {
        "query_image.bytes",
        "positive_image.bytes",
        "negative_images.list.element.bytes",
    }
    assert image_columns_of(SAMPLE_SCHEMA) == ["query_image", "positive_image", "negative_images"]
    named = with_image_names(SAMPLE_SCHEMA)
    assert named.names == SAMPLE_SCHEMA.names and image_columns_of(named) == []


@pytest.mark.parametrize(
    "line", (GOLDEN_DIR / "reply_schemas.jsonl").read_text(encoding="utf-8").splitlines()
)
def test_json_schemas_are_sent_as_they_always_were(line: str) -> None:
    """A changed byte changes the request, and a request that changed is paid for again."""
    ((name, _),) = json.loads(line).items()
    sent = judge_schema() if name == "judge" else reply_schema(CELL_BY_NAME[name])
    assert json.dumps({name: sent}) == line
