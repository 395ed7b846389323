"""The reply that a multimodal LLM is asked for: one strict JSON object, by cell."""

from functools import cache
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, create_model

from schemas.reply_fields import ReplyField
from schemas.sample import Criterion, Draft, Evaluation, Interpretation
from schemas.vocabulary import Cell

#: What each task type calls the texts of a draft, and where they go in a row.
_DRAFT_NAMES = {
    "classification": {
        "query_text": "query_text",
        "positive_text": "label",
        "negative_text": "misleading_label",
    },
    "vqa": {
        "query_text": "question",
        "positive_text": "answer",
        "negative_text": "wrong_answer",
    },
    "retrieval": {
        "query_text": "query_text",
        "positive_text": "positive_text",
        "negative_text": "negative_text",
    },
}

#: Names in the JSON schemas of the models that a reply and a row share. They are part of every
#: request so far, and a request that changes by a byte is a new one, paid for again.
_SENT_NAMES = {
    model.__name__: f"Reply{model.__name__}" for model in (Interpretation, Criterion, Evaluation)
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Reply(_Strict):
    """Base of every cell's reply; `reply_model` gives `draft` and `revision` their fields."""

    interpretations: list[Interpretation]
    draft: Any
    evaluation: Evaluation
    revision: Any


def draft_names(cell: Cell) -> dict[str, str]:
    """Row field -> name in the reply, for the texts in this cell's draft.

    `{"positive_text": "label", "negative_text": "misleading_label"}` for
    classification I->T. `instruction` is always there as well.
    """
    names = dict(_DRAFT_NAMES[cell.task_type])
    if not cell.query_has_text:
        del names["query_text"]
    if not cell.document_has_text:
        del names["positive_text"], names["negative_text"]
    return names


@cache
def reply_model(cell: Cell, own_fields: tuple[ReplyField, ...] = ()) -> type[Reply]:
    """Pydantic model of a cell's reply; fields in the order in which they are written.

    Args:
        cell: The cell.
        own_fields: Further fields, after the built-in ones.
    """
    fields: dict[str, Any] = {"instruction": (str, ...)}
    fields |= dict.fromkeys(draft_names(cell).values(), (str, ...))
    draft = create_model(f"Draft_{cell.name}", __base__=_Strict, **fields)
    own: dict[str, Any] = {
        field.name: (field.kind, ... if field.is_required else None) for field in own_fields
    }
    return create_model(
        f"Reply_{cell.name}",
        __base__=_Strict,
        interpretations=(list[Interpretation], ...),
        draft=(draft, ...),
        evaluation=(Evaluation, ...),
        revision=(draft, ...),
        **own,
    )  # type: ignore[return-value]


@cache
def reply_schema(cell: Cell, own_fields: tuple[ReplyField, ...] = ()) -> dict[str, Any]:
    """JSON Schema of a cell's reply, as `response_format` json_schema takes it (strict).

    Strict schemas know no optional key: a field that may be left out is required, and nullable.
    """
    schema = _as_sent(reply_model(cell, own_fields).model_json_schema())
    for field in own_fields:
        described = schema["properties"][field.name]
        described.pop("default", None)
        described["description"] = field.description
    if own_fields:
        schema["required"] = list(schema["properties"])
    return schema


def own_values(reply: BaseModel, own_fields: tuple[ReplyField, ...]) -> dict[str, Any]:
    """What a reply says in one's own fields, by name."""
    return {field.name: getattr(reply, field.name) for field in own_fields}


@cache
def judge_schema() -> dict[str, Any]:
    """JSON Schema of an independent judge's reply: the evaluation alone."""
    return _as_sent(Evaluation.model_json_schema())


def to_draft(cell: Cell, draft: BaseModel) -> Draft:
    """A reply's draft or revision under the row's own field names."""
    texts = {row_field: getattr(draft, name) for row_field, name in draft_names(cell).items()}
    return Draft(instruction=getattr(draft, "instruction"), **texts)  # noqa: B009


def _as_sent(node: Any) -> Any:
    """A JSON schema under the names that are sent, without the docstrings of our models."""
    if isinstance(node, list):
        return [_as_sent(entry) for entry in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    sent: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", node).items():
        if key == "title":
            sent[key] = _SENT_NAMES.get(value, value)
        elif key == "$ref":
            path, _, name = value.rpartition("/")
            sent[key] = f"{path}/{_SENT_NAMES.get(name, name)}"
        elif key == "$defs":
            named = {_SENT_NAMES.get(name, name): _as_sent(part) for name, part in value.items()}
            sent[key] = dict(sorted(named.items()))
        elif key != "description":
            sent[key] = _as_sent(value)
    return sent
