"""What an error answer says, whatever JSON it comes in: the status it names and the server's words.

Gateways answer 200 with an `error` inside, some put it into a choice, some
send a list, some only a type such as "RESOURCE_EXHAUSTED". What is read here
is where the words stand, never what they mean: meaning comes from the status
(`health`) and from experiment (`probes`).
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from builder.endpoint.completion import read_json

#: An error that names no status that is known counts as that of a gateway with trouble behind it.
UNKNOWN_STATUS = 502
MAX_WORDS_CHARS = 300
_MAX_DEPTH = 6
_MAX_PARTS = 40
#: Where an error's status stands, the most specific name first.
_STATUS_NAMES = (
    *("http_status", "status_code", "statusCode", "http_code", "code", "error_code", "errorCode"),
    *("status", "type", "__type", "reason"),
)
#: Where its words stand.
_WORD_NAMES = (
    *("message", "msg", "detail", "details", "error_description", "description", "title"),
    *("error", "errors", "error_msg", "reason", "raw", "metadata", "body"),
)
#: What makes an answer without choices an error, besides `error` itself.
_ERROR_NAMES = frozenset(
    {"message", "msg", "detail", "errors", "error_msg", "error_message", "error_code", "errorCode"}
)
#: Status words as their providers document them, in the form of `_word`, besides the names of HTTP.
#: Sources: google.rpc.Code; Anthropic and OpenAI error types; Amazon Bedrock exceptions.
_DOCUMENTED = {
    **{"invalid_argument": 400, "failed_precondition": 400, "out_of_range": 400},
    **{"unauthenticated": 401, "permission_denied": 403, "aborted": 409, "already_exists": 409},
    **{"resource_exhausted": 429, "data_loss": 500, "unknown": 500, "internal": 500},
    **{"unimplemented": 501, "unavailable": 503, "deadline_exceeded": 504},
    **{"invalid_request": 400, "validation": 400, "authentication": 401, "invalid_api_key": 401},
    **{"billing": 402, "permission": 403, "access_denied": 403, "model_not_found": 404},
    **{"request_too_large": 413, "rate_limit": 429, "rate_limit_exceeded": 429, "throttling": 429},
    **{"insufficient_quota": 429, "requests": 429, "tokens": 429, "too_many_requests": 429},
    **{"api": 500, "server": 500, "internal_server": 500, "timeout": 504, "model_timeout": 504},
    **{"overloaded": 529, "model_not_ready": 503},
}
_WORDS = {status.name.lower(): status.value for status in HTTPStatus if status >= 400} | _DOCUMENTED
_STATUSES = "|".join(str(code) for code in sorted({*_WORDS.values(), *range(520, 528)}))
_LEADING_STATUS = re.compile(rf"\s*(?:http|error|status|code|:|\s){{0,6}}({_STATUSES})\b", re.I)
_INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_LETTER = re.compile(r"[^a-z0-9]+")
_TAG = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]{0,500}>", re.DOTALL | re.I)


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error as a server words it; `status` is the HTTP status that it names."""

    status: int
    words: str


def error_in_answer(body: bytes) -> ServerError | None:
    """The error that an answer of status 200 holds in place of a completion, or None."""
    # Replies are parsed once they are on disk, so those that cannot hold an error are not read.
    if b'"error' not in body and b'"choices"' in body:
        return None
    if not body.strip():
        return ServerError(UNKNOWN_STATUS, "an empty answer")
    return find_error(read_json(body))


def find_error(content: Any) -> ServerError | None:
    """As `error_in_answer`, of what was parsed."""
    found = _error_of(content)
    if found is None:
        return None
    words = words_of(found) or words_of(content)
    return ServerError(status_of(found) or status_of(content) or UNKNOWN_STATUS, words)


def _error_of(content: Any) -> Any:
    """The part of an answer that is an error; None for a completion and for anything else."""
    if isinstance(content, list):
        errors = (_error_of(entry) for entry in content[:_MAX_PARTS])
        return next((error for error in errors if error is not None), None)
    if not isinstance(content, dict):
        return None
    outer = content.get("error") or content.get("errors") or None
    choices = content.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        says_so = "error" in {content.get("type"), content.get("object"), content.get("status")}
        has_words = "choices" not in content and not _ERROR_NAMES.isdisjoint(content)
        return outer or (content if says_so or has_words or _named_status(content) else None)
    choice = choices[0]
    message = choice.get("message")
    inner = choice.get("error") or (isinstance(message, dict) and message.get("error")) or None
    if inner is not None or choice.get("finish_reason") == "error":
        return inner or outer or {"message": "the reply ended with the finish reason `error`"}
    has_content = isinstance(message, dict) and bool(message.get("content"))
    return None if has_content else outer


def status_of(error: Any) -> int | None:
    """The HTTP status that an error names, from the outside in; None where it names none."""
    layer = [error]
    for _ in range(_MAX_DEPTH):
        inside: list[Any] = []
        for entry in layer[:_MAX_PARTS]:
            status = _named_status(entry)
            if status is not None:
                return status
            inside += _inside(entry)
        layer = inside
    return None


def number_of(error: Any) -> int | None:
    """The HTTP status that an error gives as a number of its own; words do not count."""
    found = _error_of(error)
    if not isinstance(found, dict):
        return None
    codes = (found.get(name) for name in _STATUS_NAMES)
    return next((status for code in codes if (status := _number(code)) is not None), None)


def _named_status(entry: Any) -> int | None:
    if isinstance(entry, str):
        leading = _LEADING_STATUS.match(entry)
        return int(leading[1]) if leading else _WORDS.get(_word(entry.split(":", 1)[0]))
    if not isinstance(entry, dict):
        return None
    values = [entry.get(name) for name in _STATUS_NAMES]
    numbers = (status for value in values if (status := _number(value)) is not None)
    words = (_WORDS.get(_word(value)) for value in values if isinstance(value, str))
    return next(numbers, None) or next((status for status in words if status), None)


def _number(value: Any) -> int | None:
    """A status as an int, as a float without a fraction, or as digits."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 9:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 400 <= value <= 599 and value == int(value) else None


def _word(value: str) -> str:
    """`RateLimitError`, `rate-limit` and `RATE_LIMIT` alike: "rate_limit"."""
    word = _NO_LETTER.sub("_", _INNER_CAPITAL.sub("_", value[:80]).lower()).strip("_")
    return word if word in _WORDS else re.sub(r"_(error|exception)$", "", word)


def _inside(entry: Any) -> Iterator[Any]:
    if isinstance(entry, list):
        yield from entry[:_MAX_PARTS]
    elif isinstance(entry, dict):
        for name in _WORD_NAMES:
            if name in entry:
                value = entry[name]
                yield _parsed(value) if isinstance(value, str) else value


def _parsed(text: str) -> Any:
    """A text, or what it holds where it is JSON again, as gateways pass errors on."""
    start = text.lstrip()[:1]
    content = read_json(text.encode("utf-8", "replace")) if start in {"{", "["} else None
    return text if content is None else content


def error_words(body: bytes) -> str:
    """The reason an error answer gives: one line, bounded, without control characters."""
    content = read_json(body)
    if content is None:
        text = body[: 40 * MAX_WORDS_CHARS].decode("utf-8", "replace")
        return _one_line(html.unescape(_TAG.sub(" ", text)) if "<" in text else text)
    return words_of(content)


def words_of(error: Any) -> str:
    """As `error_words`, of what was parsed."""
    said: list[str] = []
    for text in _texts(error, 0):
        line = _one_line(text)
        if line and not any(line in other for other in said):
            said.append(line)
        if sum(map(len, said)) > MAX_WORDS_CHARS:
            break
    if not said and isinstance(error, dict):
        named = (error.get(name) for name in _STATUS_NAMES)
        said = [_one_line(str(name)) for name in named if isinstance(name, str | int)][:2]
    return _shortened(": ".join(said))


def _texts(content: Any, depth: int) -> Iterator[str]:
    """Messages, from the outside in; nothing else counts, for a server may repeat the request."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(content, str):
        parsed = _parsed(content)
        yield from _texts(parsed, depth + 1) if not isinstance(parsed, str) else [content]
    elif isinstance(content, list):
        for entry in content[:_MAX_PARTS]:
            yield from _texts(entry, depth + 1)
    elif isinstance(content, dict):
        for name in _WORD_NAMES:
            if name in content:
                yield from _texts(content[name], depth + 1)
        place = content.get("loc")
        if isinstance(place, list) and "msg" in content:  # one field of a validator's complaint
            yield ".".join(map(str, place[:8]))


def _one_line(text: str) -> str:
    clean = "".join(
        " " if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} else char
        for char in text[: 8 * MAX_WORDS_CHARS]
    )
    return _shortened(" ".join(clean.split()))


def _shortened(line: str) -> str:
    cut = line if len(line) <= MAX_WORDS_CHARS else line[:MAX_WORDS_CHARS].rstrip() + " …"
    return cut.rstrip(".")
