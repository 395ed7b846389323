"""A chat completion's envelope: content, why it ended, and what it cost in tokens."""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

#: A longer run of white space is a model that got stuck under constrained decoding: a JSON grammar
#: lets white space go on for ever.
MAX_WHITESPACE_RUN = 200
_WHITESPACE = re.compile(r"\s+")
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them; `cached_tokens` are among the prompt's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def is_given(self) -> bool:
        """Whether the endpoint counted at all."""
        return self.prompt_tokens > 0 or self.completion_tokens > 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What a chat completion says, or why it says nothing.

    Args:
        content: The text; empty when there is none.
        finish_reason: "stop", "length", "content_filter", … or None where not said.
        problem: Reason to drop it before its text is looked at.
    """

    content: str
    finish_reason: str | None
    problem: str | None
    usage: Usage


def read_completion(body: bytes) -> Completion:
    """Reads an answer of status 200, or the line of a batch's results that holds it.

    Never raises, whatever the bytes are.
    """
    envelope = _answer_in(read_json(body))
    if not isinstance(envelope, dict):
        return Completion("", None, "not_a_completion", Usage())
    usage = _usage(envelope.get("usage"))
    choices = envelope.get("choices")
    if not isinstance(choices, list):
        return Completion("", None, "not_a_completion", usage)
    if not choices or not isinstance(choices[0], dict):
        return Completion("", None, "empty_choices", usage)
    choice = choices[0]
    finish_reason = choice.get("finish_reason")
    if not isinstance(finish_reason, str):
        finish_reason = None
    message = choice.get("message")
    if not isinstance(message, dict):
        return Completion("", finish_reason, "empty_choices", usage)
    content = _text(message.get("content"))
    if message.get("refusal"):
        return Completion(content, finish_reason, "refusal", usage)
    if finish_reason == "content_filter":
        return Completion(content, finish_reason, "content_filter", usage)
    return Completion(content, finish_reason, None, usage)


def read_json(body: bytes) -> Any:
    """What JSON says, also with lone surrogates, which orjson refuses; None for anything else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None


def _answer_in(envelope: Any) -> Any:
    if isinstance(envelope, dict) and "custom_id" in envelope:
        response = envelope.get("response")
        return response.get("body") if isinstance(response, dict) else None
    return envelope


def _text(content: Any) -> str:
    """A message's text: a string, or the text parts of a list; a leading thought left out."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    if "</think>" in content:
        return _THINKING.sub("", content, count=1)
    return content


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(
        _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached)
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def remove_flood(text: str) -> str | None:
    """A text without its flood of white space; None where there is none in it."""
    rest = _WHITESPACE.sub(lambda run: "\n" if len(run[0]) > MAX_WHITESPACE_RUN else run[0], text)
    return rest.strip() if len(rest) < len(text) else None
