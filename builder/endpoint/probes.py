"""What of a request an endpoint refuses, found by experiment: the same request in other forms.

Servers name what they refuse in words of their own, or name something else
("max_tokens is too large" of a context that is too small). So the words only
decide what is tried first; what counts is which form is accepted.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from builder.endpoint.capabilities import FORMATS, Capabilities, Wanted
from builder.endpoint.requests import Form
from builder.images.data_url import CommonFormat

#: Limit on the reply of a probe that asks whether the limit is too large.
SHORT_REPLY_TOKENS = 128
_REFUSED_TRIES = 2
_COMMON: tuple[CommonFormat, ...] = ("image/jpeg", "image/png")

#: What is refused that no form of the request can do without.
Cause = Literal["everything", "format", "size", "image_size", "num_images", "images", "request"]
#: Sends a form, None for the shortest request there is; returns whether it was accepted, None where
#: it failed for other reasons.
Ask = Callable[[Form | None], Awaitable[bool | None]]


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused, and what could be left out of it.

    Args:
        asked_with: How it was asked.
        wanted: The configured `structured_output`; only "auto" may be stepped down from.
        max_tokens: The configured limit on a reply.
        fields: Optional fields besides that limit: "temperature", and those of `extra_body`.
        media_types: In what formats its images were sent.
        num_images: How many it shows.
        said: The server's words, in lower case.
    """

    asked_with: Capabilities
    wanted: Wanted
    max_tokens: int
    fields: tuple[str, ...]
    media_types: frozenset[str]
    num_images: int
    said: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What probes found; neither where the request is accepted after all.

    Args:
        lower: How the request is accepted.
        cause: Why it is accepted in no way.
        remedy: Of the cause "format": the format that is accepted.
    """

    lower: Capabilities | None = None
    cause: Cause | None = None
    remedy: str = ""


async def find_refused(ask: Ask, refused: Refused, *, is_alive: bool) -> Finding:
    """Finds what of a request is refused.

    Args:
        ask: Sends a probe.
        refused: The request.
        is_alive: Whether the endpoint answers other requests, so that this need not be asked.
    """
    finding = await (
        _find_field(ask, refused)
        if await _accepted(ask, _bare_forms(refused))
        else _find_image(ask, refused)
    )
    if finding.cause == "request" and not is_alive and await is_refused(ask, None):
        return Finding(cause="everything")
    # The draw may have been at fault: the request as it was must be refused even now.
    return Finding() if await ask(Form(refused.asked_with, refused.max_tokens)) else finding


async def is_refused(ask: Ask, form: Form | None) -> bool:
    """Whether a form is refused time and again."""
    for _ in range(_REFUSED_TRIES):
        if await ask(form) is not False:
            return False
    return True


def _bare(refused: Refused) -> Capabilities:
    """Without all that may be left out."""
    names = frozenset(refused.fields) - {"temperature"}
    return replace(refused.asked_with, format="text", takes_temperature=False, refused_fields=names)


def _bare_forms(refused: Refused) -> list[Form]:
    """Forms without all that may be left out, for a short reply, by either name of its limit."""
    bare, short = _bare(refused), min(SHORT_REPLY_TOKENS, refused.max_tokens)
    lower = replace(bare, tokens_field="max_tokens")
    return [Form(each, short) for each in ([bare, lower] if lower != bare else [bare])]


async def _accepted(ask: Ask, forms: Iterable[Form]) -> Form | None:
    """The first of these forms that is accepted."""
    for form in forms:
        if await ask(form):
            return form
    return None


async def _find_field(ask: Ask, refused: Refused) -> Finding:
    """What is refused of a request that is accepted bare: its size, one field, or several."""
    before, max_tokens = refused.asked_with, refused.max_tokens
    short = min(SHORT_REPLY_TOKENS, max_tokens)
    if short < max_tokens and await ask(Form(before, short)):
        return Finding(cause="size")
    steps = sorted(_steps(refused), key=lambda step: not _is_named(step, refused))
    for _, lower in steps:
        if await ask(Form(lower, max_tokens)):
            return _allowed(refused, lower)
    lowest = replace(_bare(refused), tokens_field=before.tokens_field)
    if not await ask(Form(lowest, max_tokens)):
        lowest = replace(lowest, tokens_field="max_tokens")
        if not await ask(Form(lowest, max_tokens)):
            is_size = await ask(Form(lowest, short))
            return Finding(cause="size" if is_size else "request")
    return _allowed(refused, await _put_back(ask, refused, lowest))


async def _put_back(ask: Ask, refused: Refused, lowest: Capabilities) -> Capabilities:
    """The most of a request that is accepted where several of its fields are refused."""
    before, now = refused.asked_with, lowest
    options = [replace(now, format=name) for name in FORMATS[FORMATS.index(before.format) : -1]]
    for option in options:
        if await ask(Form(option, refused.max_tokens)):
            now = option
            break
    for name in refused.fields:
        option = (
            replace(now, takes_temperature=True)
            if name == "temperature"
            else replace(now, refused_fields=now.refused_fields - {name})
        )
        if await ask(Form(option, refused.max_tokens)):
            now = option
    return now


def _steps(refused: Refused) -> Iterator[tuple[str, Capabilities]]:
    """Each single step down, with the words that would name what it leaves out."""
    before = refused.asked_with
    for name in FORMATS[FORMATS.index(before.format) + 1 :]:
        yield "format schema json grammar", replace(before, format=name)
    if before.tokens_field == "max_completion_tokens":
        yield "max_completion_tokens", replace(before, tokens_field="max_tokens")
    for name in refused.fields:
        if name == "temperature":
            yield name, replace(before, takes_temperature=False)
        else:
            yield name, replace(before, refused_fields=before.refused_fields | {name})


def _is_named(step: tuple[str, Capabilities], refused: Refused) -> bool:
    return any(word in refused.said for word in step[0].lower().split())


def _allowed(refused: Refused, lower: Capabilities) -> Finding:
    """A step down, unless the configuration asks for the format that is refused."""
    if lower.format != refused.asked_with.format and refused.wanted != "auto":
        return Finding(cause="format", remedy=lower.format)
    return Finding(lower=lower)


async def _find_image(ask: Ask, refused: Refused) -> Finding:
    """What is refused of a request that is refused bare: its text, or something of its images."""
    without = [replace(form, images="none") for form in _bare_forms(refused)]
    accepted = await _accepted(ask, without)
    if accepted is None:
        return Finding(cause="request")
    bare = replace(accepted, images="all")
    for recoded in _recodings(refused.media_types):
        if await ask(_with_images(bare, recoded)):
            known = refused.asked_with.recoded
            return Finding(lower=replace(refused.asked_with, recoded=known | recoded))
    if await ask(replace(bare, images="small")):
        return Finding(cause="image_size")
    if refused.num_images > 1 and await ask(replace(bare, images="first")):
        return Finding(cause="num_images")
    return Finding(cause="images")


def _recodings(media_types: frozenset[str]) -> Iterator[frozenset[tuple[str, CommonFormat]]]:
    """Ways to send images in a common format: those of one format, then all."""
    for wanted in _COMMON:
        others = sorted(media_types - {wanted})
        for name in others:
            yield frozenset({(name, wanted)})
        if len(others) > 1:
            yield frozenset((name, wanted) for name in others)


def _with_images(form: Form, recoded: frozenset[tuple[str, CommonFormat]]) -> Form:
    known = form.capabilities.recoded
    return replace(form, capabilities=replace(form.capabilities, recoded=known | recoded))
