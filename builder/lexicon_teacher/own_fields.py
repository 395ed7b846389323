"""Fill fields that a user's schema has beside the built-in ones: the first value that fits."""

from typing import Any

_VALUES: dict[str, Any] = {"string": "from the lexicon", "number": 0.5, "integer": 1}


def own_fields(schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Values of the schema's properties that a reply lacks.

    Args:
        schema: Of the reply; empty where the client sent none.
        known: The reply so far.
    """
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: _value(kind) for name, kind in properties.items() if name not in known}


def _value(kind: Any) -> Any:
    if not isinstance(kind, dict):
        return None
    options = kind.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        return None
    if "const" in kind:
        return kind["const"]
    choices = kind.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    return True if kind.get("type") == "boolean" else _VALUES.get(str(kind.get("type")))
