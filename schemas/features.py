"""Arrow schemas of the published configs, and the same as `datasets` features."""

# pyarrow ships no types: what comes of it is unknown, everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

from typing import Any

import orjson
import pyarrow as pa

from schemas.vocabulary import CONFIG_OF_TASK

#: How `datasets` stores an Image column.
IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])

SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("language", pa.string()),
        pa.field("task_type", pa.string()),
        pa.field("modality", pa.string()),
        pa.field("instruction", pa.string()),
        pa.field("query_text", pa.string()),
        pa.field("query_image", IMAGE),
        pa.field("positive_text", pa.string()),
        pa.field("positive_image", IMAGE),
        pa.field("negative_texts", pa.list_(pa.string())),
        pa.field("negative_images", pa.list_(IMAGE)),
        pa.field("relevance", pa.int8()),
        pa.field("plausibility", pa.int8()),
        pa.field("clarity", pa.int8()),
        pa.field("diversity", pa.int8()),
        pa.field("alignment", pa.float64()),
    ]
)

_INTERPRETATION = pa.struct(
    [(name, pa.string()) for name in ("image", "general", "objects", "context", "task_ideas")]
)
_DRAFT = pa.struct(
    [(name, pa.string()) for name in ("instruction", "query_text", "positive_text")]
    + [("negative_text", pa.string())]
)
_CRITERION = pa.struct([("score", pa.int8()), ("reason", pa.string())])
_EVALUATION = pa.struct(
    [(name, _CRITERION) for name in ("relevance", "plausibility", "clarity", "diversity")]
    + [("improvements", pa.string())]
)

PROVENANCE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("language", pa.string()),
        pa.field("task_type", pa.string()),
        pa.field("modality", pa.string()),
        pa.field("teacher_model", pa.string()),
        pa.field("prompt_hash", pa.string()),
        pa.field("request_hash", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("round", pa.int32()),
        pa.field("length", pa.string()),
        pa.field("difficulty", pa.string()),
        pa.field("text_register", pa.string()),
        pa.field("task_idea", pa.string()),
        pa.field("interpretations", pa.list_(_INTERPRETATION)),
        pa.field("draft", _DRAFT),
        pa.field("evaluation", _EVALUATION),
        pa.field("revision", _DRAFT),
        pa.field("judge", _EVALUATION),
        pa.field("judge_model", pa.string()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("completion_tokens", pa.int32()),
        pa.field("cost_usd", pa.float64()),
        pa.field("checks", pa.list_(pa.struct([("check", pa.string()), ("result", pa.string())]))),
        pa.field(
            "language_votes",
            pa.list_(
                pa.struct([(name, pa.string()) for name in ("field", "identifier", "detected")])
            ),
        ),
        pa.field(
            "images",
            pa.list_(
                pa.struct(
                    [(name, pa.string()) for name in ("role", "sha256", "group", "source")]
                    + [("licence", pa.string())]
                )
            ),
        ),
    ]
)

REVIEW_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string()),
        pa.field("event_id", pa.string()),
        pa.field("seq", pa.int64()),
        pa.field("ts", pa.string()),
        pa.field("reviewer", pa.string()),
        pa.field("dataset_version", pa.string()),
        pa.field("content_hash", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("verdict", pa.string()),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("edits", pa.list_(pa.struct([("field", pa.string()), ("value", pa.string())]))),
        pa.field("note", pa.string()),
        pa.field("facets", pa.list_(pa.struct([("facet", pa.string()), ("verdict", pa.string())]))),
        pa.field("undoes", pa.string()),
        pa.field("queue_id", pa.string()),
        pa.field("inclusion_prob", pa.float64()),
        pa.field("ms_active", pa.int64()),
        pa.field("ui_version", pa.string()),
        pa.field("seen_edit", pa.string()),
        pa.field("guideline_version", pa.int32()),
        pa.field("phase", pa.string()),
    ]
)

#: Arrow schema of every published config, without the footer.
CONFIG_SCHEMAS: dict[str, pa.Schema] = {
    **dict.fromkeys(CONFIG_OF_TASK.values(), SAMPLE_SCHEMA),
    "provenance": PROVENANCE_SCHEMA,
    "reviews": REVIEW_SCHEMA,
}


def hub_feature(kind: pa.DataType) -> Any:
    """The `datasets` feature of an Arrow type, as the plain JSON `Features.to_dict()` gives."""
    if kind.equals(IMAGE):
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": hub_feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: hub_feature(field.type) for field in kind}
    dtype = {"double": "float64"}.get(str(kind), str(kind))
    return {"dtype": dtype, "_type": "Value"}


def hub_features(schema: pa.Schema) -> dict[str, Any]:
    """`datasets` features of a schema, in column order."""
    return {field.name: hub_feature(field.type) for field in schema}


def with_footer(schema: pa.Schema) -> pa.Schema:
    """The schema with the footer entry from which `datasets` restores Image columns."""
    info = {"info": {"features": hub_features(schema)}}
    return schema.with_metadata({"huggingface": orjson.dumps(info).decode()})
