"""A chat completion's envelope: content, why it ended, and what it cost in tokens."""

import json
import re
from dataclasses import dataclass
from math import ceil
from typing import Any

import orjson

#: A longer run of white space is a model that got stuck under constrained decoding: a JSON grammar
#: lets white space go on for ever.
MAX_WHITESPACE_RUN = 200
_BLOCK = MAX_WHITESPACE_RUN // 2
_FLOOD = re.compile(rf"(?<!\s)\s{{{MAX_WHITESPACE_RUN + 1},}}+")
#: Parts of the words in which endpoints say why a reply ended: `MAX_TOKENS`, `model_length`,
#: `context_window_exceeded`; `SAFETY`, `content_filter`, `RECITATION`; `eos_token`, `end_turn`,
#: `STOP`, `tool_calls`. What is none of these (`error`, `abort`) stays as it is.
_CUT_OFF = re.compile(r"length|max|limit|context|truncat|incomplete")
_FILTERED = re.compile(r"filter|safety|block|prohibited|recitation|refus|sensitive|guardrail|spii")
_ENDED = re.compile(r"(?:^|[^a-z])(?:stop|eos|end|im_end|done|complete|finished|tool|function)")
#: Fields of a message that hold no text of the model.
_NO_TEXT = frozenset(
    {"role", "id", "type", "name", "refusal", "content", "text", "index", "finish_reason"}
)
#: A message's other fields are read this deep, and this many texts of them.
_MAX_DEPTH = 6
_MAX_TEXTS = 32


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
        content: The text, thoughts included; empty when there is none.
        finish_reason: "stop", "length" or "content_filter", however the endpoint says it; else
            its own word, None where it says none.
        problem: Reason to drop it before its text is looked at.
        elsewhere: What other fields of the message hold (name, text), such as tool calls and
            reasoning: a server may have taken the answer for either.
    """

    content: str
    finish_reason: str | None
    problem: str | None
    usage: Usage
    elsewhere: tuple[tuple[str, str], ...] = ()

    @property
    def is_billed(self) -> bool:
        """Whether anybody bills it: an answer without a choice or a count of tokens is no reply."""
        return self.usage.is_given or self.problem not in {"not_a_completion", "empty_choices"}


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
    finish_reason = _finish_reason(choice.get("finish_reason"))
    message = choice.get("message") or choice  # as of the older completions, with a `text`
    if not isinstance(message, dict) or not message.keys() & {"role", "content", "text"}:
        return Completion("", finish_reason, "empty_choices", usage)
    content, elsewhere = _texts(message)
    if message.get("refusal"):
        return Completion(content, finish_reason, "refusal", usage)
    if finish_reason == "content_filter":
        return Completion(content, finish_reason, "content_filter", usage)
    return Completion(content, finish_reason, None, usage, elsewhere)


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


def _finish_reason(said: Any) -> str | None:
    """Why a reply ended, in OpenAI's words where they have one for it."""
    if not isinstance(said, str) or not said:
        return None
    word = said.lower()
    for pattern, meaning in (
        (_CUT_OFF, "length"),
        (_FILTERED, "content_filter"),
        (_ENDED, "stop"),
    ):
        if pattern.search(word):
            return meaning
    return word


def _texts(message: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A message's answer, and the texts of its other fields and parts."""
    elsewhere: list[tuple[str, str]] = []
    content = message.get("content", message.get("text"))
    parts = content if isinstance(content, list) else [content]
    answer = "".join(_answer_in_part(part, elsewhere) for part in parts)
    # Arguments of a call are meant to be an object; reasoning may hold drafts of one.
    for name in sorted(message, key=lambda name: name != "parsed" and "call" not in name):
        if name not in _NO_TEXT:
            _collect_texts(name, message[name], elsewhere)
    return answer, tuple(elsewhere)


def _answer_in_part(part: Any, elsewhere: list[tuple[str, str]]) -> str:
    """The text of a part of a message's content; what is in other parts goes to `elsewhere`."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    if part.get("type", "text") in {"text", "output_text"} and isinstance(part.get("text"), str):
        return part["text"]
    if "type" not in part:  # an endpoint that has parsed the object already
        return _as_json(part)
    _collect_texts(str(part["type"]), part, elsewhere)
    return ""


def _collect_texts(
    name: str, value: Any, found: list[tuple[str, str]], depth: int = _MAX_DEPTH
) -> None:
    """Adds the texts in a field of any shape; objects in it count as texts too."""
    if len(found) >= _MAX_TEXTS or depth == 0:
        return
    if isinstance(value, str) and value.strip():
        found.append((name, value))
    elif isinstance(value, list):
        for entry in value:
            _collect_texts(name, entry, found, depth - 1)
    elif isinstance(value, dict):
        found.append((name, _as_json(value)))
        for inner, entry in value.items():
            if inner not in _NO_TEXT - {"content", "text"}:
                _collect_texts(name, entry, found, depth - 1)


def _as_json(value: dict[str, Any]) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    prompt = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
    written = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    # Some leave thoughts out of the completion's tokens; they are billed, and in the total.
    total = _count(usage.get("total_tokens"))
    return Usage(prompt, max(written, total - prompt), _count(cached))


def _count(value: Any) -> int:
    """A number of tokens; some write it with a decimal point, or in quotes."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**31:
        return 0
    return ceil(value)


def remove_flood(text: str) -> str | None:
    """A text without its flood of white space; None where there is none in it."""
    # A long run fills one of the blocks, whose test is much faster than a search.
    if not any(text[at : at + _BLOCK].isspace() for at in range(0, len(text), _BLOCK)):
        return None
    rest, num_floods = _FLOOD.subn("\n", text)
    return rest.strip() if num_floods else None
