"""Reads a reply's text: strictly, then out of its wrapping, then repaired, or not at all."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from builder.endpoint.completion import Completion, remove_flood
from builder.generate.answer_text import Span, find_objects, find_thoughts, without
from schemas.choice import Choice
from schemas.reply import Reply, draft_names, reply_model
from schemas.reply_fields import ReplyField
from schemas.sample import Evaluation
from schemas.vocabulary import Cell

#: Longer texts are not repaired: no answer is that long, and repair is not linear.
MAX_REPAIRED_CHARS = 64_000
#: Nor those with more brackets: a reply has about twenty, and nested ones take repair minutes.
_MAX_REPAIRED_BRACKETS = 200
#: An object with so many keys has at least this many characters for each: `"k":1,`.
_MIN_CHARS_PER_KEY = 6

_REFUSAL = re.compile(
    r"^\W*(i'?m sorry|i am sorry|sorry\b|i can(?:'|no)?t\b|i am unable|i'm unable|unable to)",
    re.IGNORECASE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_HALF_A_PAIR = "the text holds half of a surrogate pair"
#: In valid JSON each key is one match; the rest are texts that look like keys.
_KEY = re.compile(r'"\s*:')
#: Keys as broken JSON may write them: in single or curly quotes, or bare.
_ANY_KEY = re.compile(r"[\"'\u2019\u201d]\s*:|[{,]\s*\w+\s*:")
#: Keys of a reply besides those of drafts: 5 per criterion list, 5 per interpretation.
_EVALUATION_KEYS = 4 + 1 + 4 * 2
_TOP_KEYS = 4

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a reply is not one.

    Args:
        reason: Short name, for counts.
        error: What is wrong, in words for a correction; None where that would not help.
    """

    reason: str
    error: str | None = None


#: Named so whatever `finish_reason` says; it is asked for again, and never repaired.
_FLOOD = Unreadable("whitespace_flood", "it runs on into white space instead of a JSON object")


@dataclass(frozen=True, slots=True)
class Read:
    """A reply that satisfies its model; `repaired` says that its JSON was repaired first."""

    value: Any
    repaired: bool = False


def read_reply(
    cell: Cell, completion: Completion, own_fields: tuple[ReplyField, ...] = ()
) -> Read | Unreadable:
    """Reads a cell's reply, with such fields besides the built-in ones.

    It is tried in turn: strict JSON; every JSON object in the text, thoughts
    left out, from the last to the first; `json-repair`, only when the model
    itself ended the reply (`finish_reason` "stop") and the JSON is closed; the
    objects in other fields of the message. A truncated reply is never repaired, for repair would
    complete it without complaint. A flood of white space is no mere
    truncation: such a reply is worth asking for again, without a schema. A
    key given twice makes the reply ambiguous, so it counts as unreadable, not
    as the last one given.
    """
    num_keys = _num_keys(cell) + len(own_fields)
    read = _read(reply_model(cell, own_fields), completion, num_keys)
    if isinstance(read, Unreadable):
        return read
    return _match_images(cell, read)


def read_evaluation(completion: Completion) -> Read | Unreadable:
    """Reads a judge's reply."""
    return _read(Evaluation, completion, _EVALUATION_KEYS)


def read_choice(completion: Completion) -> Read | Unreadable:
    """Reads a judge's choice among candidates."""
    return _read(Choice, completion, len(Choice.model_fields))


def _read(model: type[T], completion: Completion, num_keys: int) -> Read | Unreadable:
    if completion.problem is not None:
        return Unreadable(completion.problem)
    if completion.finish_reason == "length":
        has_flood = remove_flood(completion.content) is not None
        return _FLOOD if has_flood else Unreadable("truncated")
    thoughts = find_thoughts(completion.content)
    answer = without(completion.content, thoughts)
    read = _read_content(model, completion, thoughts, answer, num_keys)
    if isinstance(read, Read) or "{" in answer:
        return read
    for _, text in completion.elsewhere:
        found = _last_that_fits(model, text, find_objects(text).spans, num_keys)
        if isinstance(found, Read):
            return found
    return _left_empty(completion, read) if not completion.content.strip() else read


def _read_content(
    model: type[T], completion: Completion, thoughts: list[Span], answer: str, num_keys: int
) -> Read | Unreadable:
    """Reads what the model wrote as its reply."""
    text = completion.content
    has_flood = remove_flood(text) is not None
    if not text.strip():
        return _FLOOD if has_flood else Unreadable("empty_content")
    problem = _strict(model, text.strip(), num_keys)
    if isinstance(problem, Read):
        return problem
    objects = find_objects(text)
    outside = [span for span in objects.spans if not _is_inside(span, thoughts)]
    # Only where nothing but thoughts is left, the answer may be among them.
    read = _last_that_fits(model, text, outside if "{" in answer else objects.spans, num_keys)
    if isinstance(read, Read):
        return read
    if has_flood:
        return _FLOOD
    if problem.reason != "not_json":
        return problem
    if read is not None and read.reason != "not_json" and outside and not objects.is_broken:
        return read
    return _repair(model, completion, answer if "{" in answer else text, num_keys, problem)


def _last_that_fits(
    model: type[T], text: str, spans: Sequence[Span], num_keys: int
) -> Read | Unreadable | None:
    """Reads the last object that satisfies the model; else why the last one does not."""
    last: Unreadable | None = None
    for start, end in reversed(spans):
        if end - start < _MIN_CHARS_PER_KEY * num_keys and last is not None:
            continue
        read = _strict(model, text[start:end], num_keys)
        if isinstance(read, Read):
            return read
        last = last or read
    return last


def _is_inside(span: Span, thoughts: list[Span]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in thoughts)


def _left_empty(completion: Completion, read: Unreadable) -> Unreadable:
    """Why a reply has no content: the server may have put it into another field."""
    names = {name for name, _ in completion.elsewhere}
    if read.reason != "empty_content" or not names:
        return read
    return Unreadable(
        "only_tool_call" if any("call" in name for name in names) else "only_reasoning"
    )


def _strict(model: type[T], text: str, num_keys: int) -> Read | Unreadable:
    try:
        value = model.model_validate_json(text)
    except ValidationError as exc:
        wrong = _what_is_wrong(exc)
        return _given_twice(text) or wrong if wrong.reason == "wrong_fields" else wrong
    except UnicodeEncodeError:
        return Unreadable("lone_surrogate", _HALF_A_PAIR)
    if len(_KEY.findall(text)) == num_keys:
        return Read(value)  # it has every key, so with just as many none is there twice
    return _given_twice(text) or Read(value)


def _given_twice(text: str) -> Unreadable | None:
    """Whether a key of valid JSON is given twice in one object."""
    twice: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                twice.append(key)
            seen.add(key)

    json.loads(text, object_pairs_hook=note, parse_int=float)
    if not twice:
        return None
    return Unreadable("duplicate_key", f'key "{twice[0][:80]}" is given twice in one object')


def _what_is_wrong(exc: ValidationError) -> Unreadable:
    errors = exc.errors(include_url=False, include_input=False)
    if errors[0]["type"] == "string_unicode":  # half a pair that is not escaped
        return Unreadable("lone_surrogate", _HALF_A_PAIR)
    if errors[0]["type"] == "json_invalid":
        if "surrogate" in errors[0]["msg"] or _ESCAPED_SURROGATE.search(errors[0]["msg"]):
            return Unreadable("lone_surrogate", _HALF_A_PAIR)
        return Unreadable("not_json", f"not valid JSON: {errors[0].get('ctx', {}).get('error')}")
    said = "; ".join(
        f"`{'.'.join(str(part) for part in error['loc'])}`: {error['msg']}" for error in errors[:5]
    )
    return Unreadable("wrong_fields", said)


def _repair(
    model: type[T], completion: Completion, text: str, num_keys: int, problem: Unreadable
) -> Read | Unreadable:
    """Reads JSON that is broken but whole; `problem` is what strict reading found."""
    body = _whole_object(text)
    if isinstance(body, Unreadable):
        return body
    is_ambiguous = len(_ANY_KEY.findall(body)) > num_keys
    is_too_much = len(body) > MAX_REPAIRED_CHARS or _num_brackets(body) > _MAX_REPAIRED_BRACKETS
    if completion.finish_reason != "stop" or is_too_much or is_ambiguous:
        return problem
    from json_repair import repair_json

    try:
        value: Any = repair_json(body, return_objects=True)
    except (ValueError, RecursionError, IndexError):
        return problem
    if not isinstance(value, dict):
        return problem
    repaired = json.dumps(value, ensure_ascii=False)
    if _SURROGATE.search(repaired):
        return Unreadable("lone_surrogate", _HALF_A_PAIR)
    try:
        return Read(model.model_validate_json(repaired), repaired=True)
    except ValidationError:
        return problem


def _num_brackets(text: str) -> int:
    return text.count("{") + text.count("[")


def _whole_object(text: str) -> str | Unreadable:
    """The JSON object in a text, from its first brace to its last, or why there is none.

    One that was cut off is refused, for repair would complete it without complaint.
    """
    if "{" not in text:
        if _REFUSAL.match(text.replace("\u2019", "'")):
            return Unreadable("refusal")
        return Unreadable("not_json", "there is no JSON object in the reply")
    body = text[text.find("{") :].removesuffix("```").rstrip()
    if not body.endswith("}") and "}" not in body[-200:]:
        return Unreadable("truncated")
    body = body[: body.rfind("}") + 1]
    if body.count("{") > body.count("}") or body.count("[") > body.count("]"):
        return Unreadable("truncated")
    return body


def _num_keys(cell: Cell) -> int:
    drafts = 2 * (1 + len(draft_names(cell)))
    return _TOP_KEYS + drafts + _EVALUATION_KEYS + 5 * len(cell.image_roles)


def _match_images(cell: Cell, read: Read) -> Read | Unreadable:
    """Refuses a reply that does not interpret just the attached images, each once."""
    reply: Reply = read.value
    given = [entry.image for entry in reply.interpretations]
    wanted = list(cell.image_roles)
    if given == wanted:
        return read
    if sorted(given) == sorted(wanted):
        reply.interpretations.sort(key=lambda entry: wanted.index(entry.image))
        return read
    return Unreadable(
        "wrong_interpretations",
        f"`interpretations` must hold one entry for each of: {', '.join(wanted)}; "
        f"got: {', '.join(given) or 'none'}",
    )
