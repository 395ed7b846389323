"""What an endpoint supports: learned once from its refusals, and remembered in the ledger."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from builder.endpoint.client import Endpoint
from builder.endpoint.completion import read_json
from builder.ledger.ledger import Ledger

#: How an endpoint is asked for JSON, the strictest first.
Format = Literal["json_schema", "json_object", "text"]
Wanted = Literal["auto"] | Format
_FORMATS: tuple[Format, ...] = ("json_schema", "json_object", "text")
#: This many requests have to be refused for the same before no other asks for it.
_MIN_REFUSED = 2
#: Behind this, validation errors repeat what was sent.
_ECHO = re.compile(r"""["']input["']\s*:""")
_MAX_PLAIN_CHARS = 300


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How an endpoint is asked for JSON, and which parameters it takes."""

    format: Format = "json_schema"
    tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    takes_temperature: bool = True

    def lowered_to(self, other: "Capabilities") -> "Capabilities":
        """The lower of both, field by field."""
        formats = (self.format, other.format)
        max_tokens = "max_tokens" in (self.tokens_field, other.tokens_field)
        return Capabilities(
            max(formats, key=_FORMATS.index),
            "max_tokens" if max_tokens else "max_completion_tokens",
            self.takes_temperature and other.takes_temperature,
        )


class LearnedCapabilities:
    """What one endpoint turns out to take, shared by all that send to it.

    A refusal changes how its own request is asked again. Only when another
    request was refused for the same does it count for all and is remembered:
    an endpoint may refuse one image in words that name the format.

    Args:
        wanted: The configured `structured_output`.
        known: What is known already.
        remember: Called with what counts for all from now on, and what that goes without.
    """

    def __init__(
        self, wanted: Wanted, known: Capabilities, remember: Callable[[Capabilities, str], None]
    ) -> None:
        self.now = known
        self._wanted: Wanted = wanted
        self._remember = remember
        self._refused: defaultdict[Capabilities, set[str]] = defaultdict(set)

    def refused(self, key: str, asked_with: Capabilities, body: bytes) -> Capabilities | None:
        """How to ask a refused request again, or None if that is not why it was refused.

        Args:
            key: The request's.
            asked_with: How it was asked.
            body: The endpoint's error.
        """
        lower = step_down(asked_with, body, self._wanted)
        if lower is None:
            return None
        step = _step(asked_with, lower)
        self._refused[step].add(key)
        now = self.now.lowered_to(step)
        if len(self._refused[step]) >= _MIN_REFUSED and now != self.now:
            self.now = now
            self._remember(now, _missing(asked_with, lower))
        return lower


def _step(before: Capabilities, lower: Capabilities) -> Capabilities:
    """One step down by itself, all else as an endpoint is asked at first."""
    fields = ("format", "tokens_field", "takes_temperature")
    changed = {name: getattr(lower, name) for name in fields}
    return Capabilities(**{n: v for n, v in changed.items() if v != getattr(before, n)})


def _missing(before: Capabilities, lower: Capabilities) -> str:
    """What a step down goes without."""
    if before.format != lower.format:
        return f"response_format {before.format}"
    if before.tokens_field != lower.tokens_field:
        return before.tokens_field
    return "temperature"


def step_down(capabilities: Capabilities, body: bytes, wanted: Wanted) -> Capabilities | None:
    """Capabilities to try next after an endpoint refused a request, or None if that is not why.

    Args:
        capabilities: What it was asked with.
        body: Its error.
        wanted: The configured `structured_output`; only "auto" steps down.
    """
    said = complaint(body)
    about_format = re.search(r"response_format|json_schema|json_object|guided|structured", said)
    if about_format and wanted == "auto" and capabilities.format != "text":
        lower = _FORMATS[_FORMATS.index(capabilities.format) + 1]
        return Capabilities(lower, capabilities.tokens_field, capabilities.takes_temperature)
    if "max_completion_tokens" in said and capabilities.tokens_field == "max_completion_tokens":
        return Capabilities(capabilities.format, "max_tokens", capabilities.takes_temperature)
    if "temperature" in said and capabilities.takes_temperature:
        return Capabilities(capabilities.format, capabilities.tokens_field, False)
    return None


def complaint(body: bytes) -> str:
    """What an error answer says is wrong, in lower case: message, parameter and code.

    Nothing else of it counts, for an endpoint may repeat the whole request.
    Takes a line of a batch's results too.
    """
    content = read_json(body)
    if isinstance(content, dict) and isinstance(content.get("response"), dict):
        content = content["response"].get("body")
    if content is None:
        return body[:_MAX_PLAIN_CHARS].decode("utf-8", "replace").lower()
    said = " ".join(_ECHO.split(part, maxsplit=1)[0] for part in _complaints(content))
    return said.lower()


def _complaints(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):  # of a validator, one for each field
        for entry in content:
            yield from _complaints(entry)
    elif isinstance(content, dict):
        for name in ("error", "detail", "message", "msg", "param", "code", "loc"):
            yield from _complaints(content.get(name))


def capabilities_name(endpoint: Endpoint, wanted: Wanted) -> str:
    """Under what name the capabilities of an endpoint and its model are remembered."""
    # The word is stored in ledgers, so it outlives the class's earlier name.
    return f"abilities {endpoint.address} {endpoint.model} {wanted}"


def remembered_capabilities(ledger: Ledger, name: str, wanted: Wanted) -> Capabilities:
    """What an earlier run learned, else what to begin with."""
    found = ledger.meta(name)
    if found is not None:
        return read_capabilities(found)
    return Capabilities() if wanted == "auto" else Capabilities(wanted)


def write_capabilities(capabilities: Capabilities) -> str:
    """As the ledger stores them."""
    fields = (capabilities.format, capabilities.tokens_field, capabilities.takes_temperature)
    return orjson.dumps(fields).decode()


def read_capabilities(text: str) -> Capabilities:
    """Undoes `write_capabilities`."""
    return Capabilities(*orjson.loads(text))
