"""The reply asked of a multimodal LLM: one strict JSON object a cell."""

from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from schemas.sample import Draft
from schemas.vocabulary import Cell, ImageRole

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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ReplyInterpretation(_Strict):
    image: ImageRole
    general: str
    objects: str
    context: str
    task_ideas: str


def _to_whole(value: Any) -> Any:
    """The integer that `4.0` or `"4"` means; anything else as it came, for the model to refuse."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value


class ReplyCriterion(_Strict):
    score: Annotated[int, Field(ge=1, le=5), BeforeValidator(_to_whole)]
    reason: str


class ReplyEvaluation(_Strict):
    relevance: ReplyCriterion
    plausibility: ReplyCriterion
    clarity: ReplyCriterion
    diversity: ReplyCriterion
    improvements: str


class Reply(_Strict):
    """Base of every cell's reply; `reply_model` gives `draft` and `revision` their fields."""

    interpretations: list[ReplyInterpretation]
    draft: Any
    evaluation: ReplyEvaluation
    revision: Any


def draft_names(cell: Cell) -> dict[str, str]:
    """Row field -> name in the reply, for the texts this cell's draft holds.

    `{"positive_text": "label", "negative_text": "misleading_label"}` for
    classification I->T. `instruction` is always there besides.
    """
    names = dict(_DRAFT_NAMES[cell.task_type])
    if not cell.query_has_text:
        del names["query_text"]
    if not cell.document_has_text:
        del names["positive_text"], names["negative_text"]
    return names


@cache
def reply_model(cell: Cell) -> type[Reply]:
    """Pydantic model of a cell's reply; fields in the order they are to be written."""
    fields: dict[str, Any] = {"instruction": (str, ...)}
    fields |= dict.fromkeys(draft_names(cell).values(), (str, ...))
    draft = create_model(f"Draft_{cell.name}", __base__=_Strict, **fields)
    return create_model(
        f"Reply_{cell.name}",
        __base__=_Strict,
        interpretations=(list[ReplyInterpretation], ...),
        draft=(draft, ...),
        evaluation=(ReplyEvaluation, ...),
        revision=(draft, ...),
    )  # type: ignore[return-value]


@cache
def reply_schema(cell: Cell) -> dict[str, Any]:
    """JSON Schema of a cell's reply, as `response_format` json_schema takes it (strict)."""
    return reply_model(cell).model_json_schema()


@cache
def judge_schema() -> dict[str, Any]:
    """JSON Schema of an independent judge's reply: the evaluation alone."""
    return ReplyEvaluation.model_json_schema()


def to_draft(cell: Cell, draft: BaseModel) -> Draft:
    """A reply's draft or revision under the row's own field names."""
    texts = {row_field: getattr(draft, name) for row_field, name in draft_names(cell).items()}
    return Draft(instruction=getattr(draft, "instruction"), **texts)  # noqa: B009
