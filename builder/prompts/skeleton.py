"""The shape of a reply as the prompt shows it, made from the reply models so that both agree."""

from typing import Any, get_args, get_origin

import orjson
from pydantic import BaseModel

from schemas.reply import draft_names, reply_model
from schemas.reply_fields import ReplyField
from schemas.sample import Evaluation
from schemas.vocabulary import Cell

#: Stands where a bare integer is to be written; deliberately not JSON, so that it cannot be copied.
SCORE = "<1-5>"
_ENGLISH = "<English>"
_IN_LANGUAGE = "<in the job's language>"


def reply_skeleton(cell: Cell, own_fields: tuple[ReplyField, ...] = ()) -> str:
    """JSON of a cell's reply, with a placeholder in angle brackets for every value.

    Args:
        cell: The cell.
        own_fields: Further fields, after the built-in ones.
    """
    shape = _shape(reply_model(cell), frozenset(draft_names(cell).values()))
    entry = shape["interpretations"][0]
    shape["interpretations"] = [{**entry, "image": role} for role in cell.image_roles]
    written = _write(shape)
    if not own_fields:
        return written
    own = ", ".join(f'"{field.name}": {_placeholder(field)}' for field in own_fields)
    return f"{written[:-1]}, {own}}}"


def judge_skeleton() -> str:
    """JSON of an independent judge's reply, with a placeholder for every value."""
    return _write(_shape(Evaluation, frozenset()))


def _placeholder(field: ReplyField) -> str:
    return orjson.dumps(field.placeholder).decode() if field.is_text else field.placeholder


def _shape(model: type[BaseModel], in_language: frozenset[str]) -> dict[str, Any]:
    shape: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if get_origin(kind) is list:
            shape[name] = [_shape(get_args(kind)[0], in_language)]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            shape[name] = _shape(kind, in_language)
        elif kind is int:
            shape[name] = SCORE
        else:
            shape[name] = _IN_LANGUAGE if name in in_language else _ENGLISH
    return shape


def _write(shape: dict[str, Any]) -> str:
    text = orjson.dumps(shape).decode()
    return (
        text.replace(f'"{SCORE}"', SCORE)
        .replace(',"', ', "')
        .replace("},{", "}, {")
        .replace('":', '": ')
    )
