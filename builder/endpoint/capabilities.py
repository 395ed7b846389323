"""What an endpoint supports: learned once from its refusals, and remembered in the ledger."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import orjson

from builder.endpoint.client import Endpoint
from builder.endpoint.completion import read_json
from builder.endpoint.health import MIN_REFUSED_REQUESTS
from builder.images.data_url import CommonFormat
from builder.ledger.ledger import Ledger

#: How an endpoint is asked for JSON, the strictest first.
Format = Literal["json_schema", "json_object", "text"]
Wanted = Literal["auto"] | Format
FORMATS: tuple[Format, ...] = ("json_schema", "json_object", "text")
#: Behind this, validation errors repeat what was sent.
_ECHO = re.compile(r"""["']input["']\s*:""")
_MAX_PLAIN_CHARS = 300


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How an endpoint is asked for JSON, and which parameters and images it takes.

    Args:
        format: How it is asked for JSON.
        tokens_field: What the limit on a reply's tokens is called.
        takes_temperature: Whether it takes a temperature.
        refused_fields: Names in `extra_body` that it does not take.
        recoded: Media types of images that it does not take, each with the one sent instead.
    """

    format: Format = "json_schema"
    tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    takes_temperature: bool = True
    refused_fields: frozenset[str] = frozenset()
    recoded: frozenset[tuple[str, CommonFormat]] = frozenset()

    def lowered_to(self, other: "Capabilities") -> "Capabilities":
        """The lower of both, field by field."""
        if self == other:
            return self
        formats = (self.format, other.format)
        max_tokens = "max_tokens" in (self.tokens_field, other.tokens_field)
        return Capabilities(
            max(formats, key=FORMATS.index),
            "max_tokens" if max_tokens else "max_completion_tokens",
            self.takes_temperature and other.takes_temperature,
            self.refused_fields | other.refused_fields,
            frozenset((dict(self.recoded) | dict(other.recoded)).items()),
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
        self.wanted: Wanted = wanted
        self._remember = remember
        self._refused: defaultdict[Capabilities, set[str]] = defaultdict(set)

    def refused(self, key: str, asked_with: Capabilities, body: bytes) -> Capabilities | None:
        """How to ask a refused request again, by what the endpoint complains of.

        For batches, where no probe can be sent.

        Args:
            key: The request's.
            asked_with: How it was asked.
            body: The endpoint's error.

        Returns:
            None if that is not why it was refused.
        """
        lower = step_down(asked_with, body, self.wanted)
        if lower is not None:
            self.learn(key, asked_with, lower, MIN_REFUSED_REQUESTS)
        return lower

    def learn(self, key: str, before: Capabilities, lower: Capabilities, num_needed: int) -> None:
        """Notes that a request is refused as it was asked before, and taken in a lower way.

        Args:
            key: The request's.
            before: How it was refused.
            lower: How it is taken.
            num_needed: Of how many requests that has to be known before it counts for all.
        """
        step = _step(before, lower)
        self._refused[step].add(key)
        now = self.now.lowered_to(step)
        if len(self._refused[step]) >= num_needed and now != self.now:
            self.now = now
            self._remember(now, describe_step(before, lower))


def _step(before: Capabilities, lower: Capabilities) -> Capabilities:
    """One step down by itself, all else as an endpoint is asked at first."""
    values = {entry.name: getattr(lower, entry.name) for entry in fields(Capabilities)}
    return Capabilities(**{n: v for n, v in values.items() if v != getattr(before, n)})


def describe_step(before: Capabilities, lower: Capabilities) -> str:
    """What a step down goes without."""
    missing: list[str] = []
    if before.format != lower.format:
        missing.append(f"response_format {before.format}")
    if before.tokens_field != lower.tokens_field:
        missing.append(before.tokens_field)
    if before.takes_temperature != lower.takes_temperature:
        missing.append("temperature")
    missing += sorted(lower.refused_fields - before.refused_fields)
    new = sorted(lower.recoded - before.recoded)
    missing += [f"images of {old} (sent as {sent})" for old, sent in new]
    return ", ".join(missing)


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
        lower = FORMATS[FORMATS.index(capabilities.format) + 1]
        return replace(capabilities, format=lower)
    if "max_completion_tokens" in said and capabilities.tokens_field == "max_completion_tokens":
        return replace(capabilities, tokens_field="max_tokens")
    if "temperature" in said and capabilities.takes_temperature:
        return replace(capabilities, takes_temperature=False)
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
    written: list[object] = [
        capabilities.format,
        capabilities.tokens_field,
        capabilities.takes_temperature,
    ]
    # What came later is written only where it says anything, as earlier versions read three.
    if capabilities.refused_fields or capabilities.recoded:
        written += [sorted(capabilities.refused_fields), sorted(capabilities.recoded)]
    return orjson.dumps(written).decode()


def read_capabilities(text: str) -> Capabilities:
    """Undoes `write_capabilities`."""
    form, tokens_field, takes_temperature, *later = orjson.loads(text)
    refused_fields, recoded = later or ((), ())
    return Capabilities(
        form,
        tokens_field,
        takes_temperature,
        frozenset(refused_fields),
        frozenset((old, new) for old, new in recoded),
    )
