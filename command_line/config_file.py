"""Reads a YAML configuration and says what is wrong with it: which line, which key, what to do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from command_line.plain_words import did_you_mean, what_is_wrong

_MAX_BYTES = 1_000_000
_MAX_PROBLEMS = 5
_MAX_KEYS_LISTED = 20

Key = str | int
Place = tuple[Key, ...]


class ConfigFileProblem(ValueError):
    """A file is no configuration; the message is a clause that names the line."""


@dataclass(frozen=True)
class ConfigFile:
    """What a YAML file says, and where it says it.

    Args:
        content: Its keys and values.
        root: The tree that knows the lines; None for settings that come from no file.
    """

    content: dict[str, Any]
    root: yaml.Node | None = field(default=None, repr=False)

    def line_of(self, place: Place) -> int | None:
        """Line of a key, counted from 1; of the innermost one that is there."""
        node, line = self.root, None
        for part in place:
            found = _child(node, part)
            if found is None:
                break
            mark, node = found
            line = mark.line + 1
        return line


def read_config_file(path: Path) -> ConfigFile:
    """Reads a file of `key: value` lines; an empty one has no key.

    Raises:
        ConfigFileProblem: It is not UTF-8, not YAML, no mapping, or has a key twice.
        OSError: It cannot be read.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise ConfigFileProblem("it is too large for a configuration")
    loader = None
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if root is None:
            return ConfigFile({})
        _refuse_repeated_keys(root)
        content = cast(object, loader.construct_document(root))  # pyright: ignore[reportUnknownMemberType]
    except UnicodeDecodeError as exc:
        raise ConfigFileProblem("it is not UTF-8 text; save it as UTF-8") from exc
    except yaml.YAMLError as exc:
        raise ConfigFileProblem(_yaml_problem(exc)) from exc
    except RecursionError as exc:
        raise ConfigFileProblem("it is nested too deeply") from exc
    finally:
        if loader is not None:
            loader.dispose()  # pyright: ignore[reportUnknownMemberType]
    if content is None:
        return ConfigFile({})
    if not isinstance(content, dict):
        raise ConfigFileProblem("it needs `key: value` lines")
    return ConfigFile(cast(dict[str, Any], content), root)


def describe_problems(exc: ValidationError, model: type[BaseModel], file: ConfigFile) -> str:
    """What is wrong with a configuration, as one sentence with a clause for each key.

    Args:
        exc: What pydantic found.
        model: The configuration's class, which knows the right keys.
        file: What was validated.
    """
    by_place: dict[Place, list[str]] = {}
    found = list(_without_other_branches(exc, file.content))
    for place, error in sorted(found, key=lambda entry: file.line_of(entry[0]) or 0):
        said = _with_suggestion(place, error, model)
        known = by_place.setdefault(place, [])
        if said not in known:
            known.append(said)
    clauses = [_clause(place, said, file) for place, said in by_place.items()]
    more = len(clauses) - _MAX_PROBLEMS
    text = "; ".join(clauses[:_MAX_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
    return text if text.endswith("?") else f"{text}."


def _clause(place: Place, said: Sequence[str], file: ConfigFile) -> str:
    first, *others = sorted(said, key=lambda words: words.endswith("?"))  # a question comes last
    what = ", or ".join([first, *(words.removeprefix("must be ") for words in others)])
    if not place:  # said of the whole, such as "languages: the shares sum to 0"
        place = (what.partition(":")[0],)
        line = file.line_of(place)
        return f"line {line}, {what}" if line else what
    line = file.line_of(place)
    name = f"`{'.'.join(map(str, place))}`"
    return f"line {line}, {name}: {what}" if line else f"{name}: {what}"


def _without_other_branches(
    exc: ValidationError, content: Mapping[str, Any]
) -> Iterator[tuple[Place, ErrorDetails]]:
    """Errors with their places; where a value may have several forms, those of the form meant."""
    errors = exc.errors(include_url=False)
    placed = [(_place_of(error, content), error) for error in errors]
    branches = [place for (place, is_branch), _ in placed if is_branch]
    for (place, is_branch), error in placed:
        is_shallower = any(len(other) > len(place) == _common(place, other) for other in branches)
        if not (is_branch and is_shallower):
            yield place, error


def _place_of(error: ErrorDetails, content: object) -> tuple[Place, bool]:
    """The keys that lead to an error, and whether it is about one of several allowed forms."""
    place: list[Key] = []
    is_branch = False
    for index, part in enumerate(error["loc"]):
        is_last = index == len(error["loc"]) - 1
        inner = _item(content, part)
        if inner is not None:
            place.append(part)
            content = inner[0]
        elif is_last and error["type"] == "missing":
            place.append(part)
        elif part != "[key]":
            is_branch = True
    return tuple(place), is_branch


def _item(content: object, part: Key) -> tuple[Any] | None:
    if isinstance(content, Mapping):
        mapping = cast(Mapping[object, Any], content)
        return (mapping[part],) if part in mapping else None
    if isinstance(content, list | tuple) and isinstance(part, int):
        items = cast(Sequence[Any], content)
        return (items[part],) if part < len(items) else None
    return None


def _common(place: Place, other: Place) -> int:
    return len(place) if other[: len(place)] == place else -1


def _with_suggestion(place: Place, error: ErrorDetails, model: type[BaseModel]) -> str:
    said = what_is_wrong(error)
    if not place:
        return said
    key = str(place[-1])
    here = _model_at(place[:-1], model)
    known = _keys(here) if here else {}
    if error["type"] == "string_pattern_mismatch" and here and key in known:
        form = here.model_fields[known[key]].description
        return f"must be {form}" if form else said
    if error["type"] != "extra_forbidden":
        return said
    if key in known:
        return f"the same setting as `{known[key]}`, which is given too; keep one of them"
    if elsewhere := _section_with(key, model):
        return f"{said}; it belongs under `{elsewhere}`"
    if meant := did_you_mean(key, known):
        return f"{said}; did you mean `{meant}`?"
    listed = ", ".join(list(known)[:_MAX_KEYS_LISTED])
    return f"{said}; the keys here are {listed}" if listed else said


def _model_at(place: Place, model: type[BaseModel]) -> type[BaseModel] | None:
    here: type[BaseModel] | None = model
    for part in place:
        if here is None:
            return None
        name = _keys(here).get(str(part))
        here = _inner_model(here.model_fields[name].annotation) if name else None
    return here


def _keys(model: type[BaseModel]) -> dict[str, str]:
    """Keys that a section takes, each with its field; the field's own name before older ones."""
    keys = {name: name for name in model.model_fields}
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        keys |= {choice: name for choice in choices if isinstance(choice, str)}
    return keys


def _section_with(key: str, model: type[BaseModel]) -> str | None:
    if key in _keys(model):
        return None
    for name, info in model.model_fields.items():
        inner = _inner_model(info.annotation)
        if inner is not None and key in _keys(inner):
            return name
    return None


def _inner_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if inner := _inner_model(argument):
            return inner
    return None


def _child(node: yaml.Node | None, part: Key) -> tuple[yaml.Mark, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key.start_mark, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark, item
    return None


def _refuse_repeated_keys(root: yaml.Node) -> None:
    """YAML keeps the last of two equal keys without a word; the other would be lost."""
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                children.append(value)
                if isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    if key.value in lines:
                        first = lines[key.value]
                        where = (
                            f"on line {line}" if first == line else f"on lines {first} and {line}"
                        )
                        raise ConfigFileProblem(f"`{key.value}` appears twice, {where}")
                    lines[key.value] = line
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def _yaml_problem(exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or getattr(exc, "reason", None) or str(exc)
    problem = " ".join(str(problem).split())
    if "'\\t'" in problem:
        problem = "a tab where spaces are needed"
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}not YAML: {problem}"
