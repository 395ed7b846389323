"""Merges options and a YAML file into one config; errors name the option or the YAML field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from command_line.config_file import (
    ConfigFile,
    ConfigFileProblem,
    describe_problems,
    read_config_file,
)
from trainer.errors import ConfigFileError, SettingError

_Config = TypeVar("_Config", bound=BaseModel)


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
    read = _read(file) if file else ConfigFile({})
    content = read.content
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
        raise ConfigFileError(file, describe_problems(exc, kind, read)) from exc


def _read(file: Path) -> ConfigFile:
    try:
        return read_config_file(file)
    except ConfigFileProblem as exc:
        raise ConfigFileError(file, str(exc)) from exc


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
