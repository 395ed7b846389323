"""The YAML at the head of a README, the dataset's card."""

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any, cast

import yaml

CARD_PATH = "README.md"
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*\r?$", re.S | re.M)
_TAG_FIELDS = ("task_categories", "task_ids", "language", "license", "size_categories")
MAX_CARD_CHARS = 4 << 20
MAX_CARD_VALUES = 500_000

# libyaml if it is installed: without it a large card takes seconds.
_Loader = cast(type[yaml.SafeLoader], getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@dataclass(frozen=True, slots=True)
class Card:
    """The parsed metadata, and what is wrong with it."""

    data: dict[str, Any] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def tags(self) -> list[str]:
        """The card's facts as the Hub's search tags: `language:fr`, `license:mit`, …."""
        tags = [str(tag) for tag in _as_list(self.data.get("tags"))]
        for name in _TAG_FIELDS:
            tags += [f"{name}:{value}" for value in _as_list(self.data.get(name))]
        return tags


@lru_cache(maxsize=256)
def parse_card(text: str) -> Card:
    """Reads the metadata of a README; one without any is allowed but warned about."""
    match = _FRONT_MATTER.match(text[:MAX_CARD_CHARS])
    if match is None:
        return Card(warnings=("empty or missing yaml metadata in repo card",))
    try:
        value = _as_json(yaml.load(match[1], Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Card(errors=(f"invalid YAML: {_one_line(error)}",))
    if value is None:
        return Card(warnings=("empty or missing yaml metadata in repo card",))
    if not isinstance(value, dict):
        return Card(errors=('invalid YAML: the metadata must be a mapping, "name: value"',))
    data = cast(dict[str, Any], value)
    return Card(data, tuple(_wrong_fields(data)))


def _wrong_fields(data: dict[str, Any]) -> list[str]:
    """The Hub's checks of fields that would otherwise fail only when loaded."""
    errors = [
        f'"{name}" must be a string or a list of strings'
        for name in ("language", "license", "task_categories", "size_categories", "tags")
        if not all(isinstance(value, str) for value in _as_list(data.get(name)))
    ]
    configs = data.get("configs", [])
    if not isinstance(configs, list) or not all(
        isinstance(config, dict) and isinstance(config.get("config_name"), str)
        for config in cast(list[dict[str, Any]], configs)
    ):
        errors.append('"configs" must be a list of mappings that each have a "config_name"')
    return errors


def _as_list(value: object) -> list[object]:
    if value is None:
        return []
    return cast(list[object], value) if isinstance(value, list) else [value]


def _as_json(value: object) -> object:
    """Converts to JSON types: YAML also has dates, sets, bytes and non-string keys.

    Raises:
        ValueError: If there are too many values, which a few lines of YAML can express by
            aliases.
    """
    budget = iter(range(MAX_CARD_VALUES))

    def convert(value: object) -> object:
        if next(budget, None) is None:
            raise ValueError(f"more than {MAX_CARD_VALUES} values")
        if isinstance(value, dict):
            return {str(k): convert(v) for k, v in cast(dict[object, object], value).items()}
        if isinstance(value, list | tuple | set):
            return [convert(item) for item in cast(list[object], value)]
        if isinstance(value, date | datetime):
            return value.isoformat()
        if value is None or isinstance(value, str | bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):  # JSON has no NaN, no infinity
            return value
        return str(value)

    return convert(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
