"""Merges options and a YAML file into one config; errors name the option or the YAML field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from trainer.errors import ConfigFileError, SettingError

_Config = TypeVar("_Config", bound=BaseModel)

_MAX_CONFIG_BYTES = 1_000_000


def make_config(
    kind: type[_Config], options: Mapping[str, object], file: Path | None = None
) -> _Config:
    """A config from a YAML file, if any, overridden by the given options.

    Args:
        kind: The config's class.
        options: Values by field, "model.name" for a field of a part; None was not given.
        file: YAML with the config's fields.

    Raises:
        SettingError: An option has an invalid value.
        ConfigFileError: The file cannot be read, or one of its values is wrong.
    """
    content = _read_yaml(file) if file else {}
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        _set(content, name, value, file)
    try:
        return kind.model_validate(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        if where in given or file is None:
            raise SettingError.of(exc, given) from exc
        what = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise ConfigFileError(file, f"`{where}`: {what}" if where else what) from exc


def _read_yaml(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MAX_CONFIG_BYTES:
        raise ConfigFileError(file, "it is too large for a configuration")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        problem = " ".join(str(exc).split())
        raise ConfigFileError(file, f"not readable as YAML ({problem})") from exc
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigFileError(file, "it needs `field: value` lines")
    return content


def _set(content: dict[str, Any], name: str, value: object, file: Path | None) -> None:
    *parts, last = name.split(".")
    for part in parts:
        inner = content.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigFileError(file or Path(), f"`{part}` needs `field: value` lines")
        content = inner
    content[last] = value


def split_list(text: str | None) -> tuple[str, ...] | None:
    """Entries of a comma-separated list; None if there are none or for "all"."""
    if text is None or text.strip() == "all":
        return None
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())
