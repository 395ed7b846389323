"""Says in plain words what is wrong with a setting, from what pydantic found."""

from collections.abc import Mapping
from difflib import get_close_matches

import orjson
from pydantic_core import ErrorDetails

_MAX_SHOWN_CHARS = 60
_LINES = "must be `key: value` lines"
#: By pydantic's name of the error; what it knows about the bound stands in braces.
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "invalid_key": "a key must be text: put it in quotes",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters or fewer",
    "too_short": "must have {min_length} entries or more",
    "too_long": "must have {max_length} entries or fewer",
    "model_type": _LINES,
    "model_attributes_type": _LINES,
    "dict_type": _LINES,
    "mapping_type": _LINES,
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "path_type": "must be a path",
}
#: By the first word of the error's name, for the many ways in which a kind of value can fail.
_KINDS = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
}
#: What was written is shown for these alone: elsewhere it might be a secret in the wrong place.
_SHOWN_KINDS = (int, float, bool, type(None))
_CHOICES = {"literal_error", "enum"}
#: Kinds whose bad value says nothing: it is missing, not wanted, or of a wholly different shape.
_NEVER_SHOWN = {"missing", "extra_forbidden", *(name for name in _WORDS if name.endswith("_type"))}
_BOUNDS = ["gt", "ge", "lt", "le", "multiple_of", "expected", "pattern", "min_length", "max_length"]
_UNKNOWN = dict.fromkeys(_BOUNDS, "another value")


def what_is_wrong(error: ErrorDetails) -> str:
    """Such as `must be greater than 0, not -3`; never holds a text that may be a secret."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", error["msg"])).rstrip(".")
    words = _WORDS.get(kind) or _KINDS.get(kind.partition("_")[0]) or "cannot be used here"
    said = words.format_map(
        {**_UNKNOWN, **{name: _plain(value) for name, value in context.items()}}
    )
    value = error["input"]
    if kind in _CHOICES and isinstance(value, str):
        return f"{said}, not {_shown(value)}{_suggestion(value, str(context.get('expected')))}"
    is_shown = isinstance(value, _SHOWN_KINDS) and kind not in _NEVER_SHOWN
    return f"{said}, not {_shown(value)}" if is_shown else said


def did_you_mean(name: object, known: Mapping[str, object] | list[str]) -> str | None:
    """The known name that a mistyped one is closest to, if one is close."""
    text = str(name).lower().replace("-", "_")
    matches = get_close_matches(text, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def _suggestion(value: str, expected: str) -> str:
    choices = [word for word in expected.split("'")[1::2] if word]
    meant = did_you_mean(value, choices)
    return f"; did you mean {meant}?" if meant else ""


def _shown(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "…"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
