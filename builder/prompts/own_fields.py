"""Reads `fields.yaml`: fields of one's own that a reply has besides the built-in ones."""

from typing import Annotated, Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from command_line.plain_words import what_is_wrong
from schemas.errors import PolysceneError
from schemas.reply import reply_schema
from schemas.reply_fields import FIELD_NAME, MAX_FIELDS, FieldType, ReplyField
from schemas.vocabulary import CELLS

_Choice = Annotated[str, Field(min_length=1, max_length=100)]


class PromptError(PolysceneError):
    """Prompts of one's own cannot be used; nothing was sent."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    description: Annotated[str, Field(min_length=1, max_length=1_000)]
    type: FieldType = "string"
    choices: tuple[_Choice, ...] = ()
    required: bool = True

    @model_validator(mode="after")
    def _has_choices_where_needed(self) -> "_Entry":
        if self.type == "enum" and len(set(self.choices)) < 2:
            raise ValueError("type enum needs `choices`: a list of two or more different texts")
        if self.type != "enum" and self.choices:
            raise ValueError("`choices` goes with type enum alone")
        return self


def parse_fields(text: str, where: str) -> tuple[ReplyField, ...]:
    """The fields that a file defines, in its order; none where it is empty.

    Args:
        text: The file.
        where: Its name, for errors.

    Raises:
        PromptError: It is not valid; names file, line and field.
    """
    try:
        root = yaml.compose(text, yaml.SafeLoader)  # pyright: ignore[reportUnknownMemberType]
        content = cast(object, yaml.safe_load(text))
    except (yaml.YAMLError, RecursionError) as exc:
        raise PromptError(f"{where}: not YAML: {' '.join(str(exc).split())}. Fix it.") from exc
    if content is None:
        return ()
    if not isinstance(content, dict) or not isinstance(root, yaml.MappingNode):
        raise PromptError(f"{where}: needs a `name:` for each field. Fix it.")
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in root.value}
    if len(lines) != len(root.value):
        raise PromptError(f"{where}: a field is defined twice. Keep one of them.")
    if len(lines) > MAX_FIELDS:
        raise PromptError(f"{where}: {len(lines)} fields; {MAX_FIELDS} is the most.")
    entries = cast(dict[object, object], content)
    return tuple(
        _field(name, entry, f"{where}, line {lines.get(str(name), 1)}, `{name}`")
        for name, entry in entries.items()
    )


def _field(name: object, content: object, where: str) -> ReplyField:
    if not isinstance(name, str) or not FIELD_NAME.fullmatch(name):
        raise PromptError(
            f"{where}: name a field with lower-case letters, digits and _, a letter first."
        )
    if name in _taken() or name.startswith("model_") or hasattr(BaseModel, name):
        raise PromptError(f"{where}: every reply has this key already. Choose another name.")
    try:
        entry = _Entry.model_validate(content)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        key = f"{'.'.join(map(str, error['loc']))}: " if error["loc"] else ""
        raise PromptError(f"{where}: {key}{what_is_wrong(error)}. Fix it.") from exc
    return ReplyField(name, entry.description, entry.type, entry.choices, entry.required)


def _taken() -> set[str]:
    """Every key of a reply, at whatever depth."""
    names: set[str] = set()
    waiting: list[Any] = [reply_schema(cell) for cell in CELLS]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            found = cast(dict[str, Any], node)
            names |= set(found.get("properties", {}))
            waiting += found.values()
    return names
