"""What an endpoint takes: found out from its refusals, once, and remembered in the ledger."""

import re
from dataclasses import dataclass
from typing import Literal

import orjson

from builder.generate.client import Endpoint
from builder.generate.ledger import Ledger

#: How an endpoint is asked for JSON, the strictest first.
Format = Literal["json_schema", "json_object", "text"]
Wanted = Literal["auto"] | Format
_FORMATS: tuple[Format, ...] = ("json_schema", "json_object", "text")


@dataclass(frozen=True, slots=True)
class Abilities:
    """How to ask for JSON, and which parameters an endpoint takes."""

    format: Format = "json_schema"
    tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    takes_temperature: bool = True


def step_down(abilities: Abilities, body: bytes, wanted: Wanted) -> Abilities | None:
    """Abilities to try next after an endpoint refused a request, or None if that is not why.

    Args:
        abilities: What it was asked with.
        body: Its error.
        wanted: The configured `structured_output`; only "auto" steps down.
    """
    said = body.decode("utf-8", "replace").lower()
    about_format = re.search(r"response_format|json_schema|json_object|guided|structured", said)
    if about_format and wanted == "auto" and abilities.format != "text":
        lower = _FORMATS[_FORMATS.index(abilities.format) + 1]
        return Abilities(lower, abilities.tokens_field, abilities.takes_temperature)
    if "max_completion_tokens" in said and abilities.tokens_field == "max_completion_tokens":
        return Abilities(abilities.format, "max_tokens", abilities.takes_temperature)
    if "temperature" in said and abilities.takes_temperature:
        return Abilities(abilities.format, abilities.tokens_field, False)
    return None


def abilities_name(endpoint: Endpoint, wanted: Wanted) -> str:
    """Under what name the abilities of an endpoint and its model are remembered."""
    return f"abilities {endpoint.address} {endpoint.model} {wanted}"


def remembered_abilities(ledger: Ledger, name: str, wanted: Wanted) -> Abilities:
    """What was found out by an earlier run, else what to begin with."""
    found = ledger.meta(name)
    if found is not None:
        return read_abilities(found)
    return Abilities() if wanted == "auto" else Abilities(wanted)


def write_abilities(abilities: Abilities) -> str:
    """As the ledger holds them."""
    fields = (abilities.format, abilities.tokens_field, abilities.takes_temperature)
    return orjson.dumps(fields).decode()


def read_abilities(text: str) -> Abilities:
    """Undoes `write_abilities`."""
    return Abilities(*orjson.loads(text))
