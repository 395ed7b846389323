"""Read a chat completion request: the parameters block in its text and the images beside it."""

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from schemas.vocabulary import CELLS, LANGUAGES, Cell, ImageRole

#: The line that a parameters block begins with.
_TASK_TYPE = "Task type:"
_LINE = re.compile(r"^[ \t>*-]*([A-Z][A-Za-z ]{2,30}):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_ROLES: dict[str, ImageRole] = {
    "query": "query",
    "positive": "positive",
    "negative": "negative",
}
_CELL_BY_PAIR: dict[tuple[str, str], Cell] = {(c.task_type, c.modality): c for c in CELLS}


class RequestError(ValueError):
    """A request that the teacher cannot answer; the message names the fault."""


@dataclass(frozen=True, slots=True)
class TeacherRequest:
    """The content of one request.

    Args:
        cell: Task type and modality combination.
        language: One of the 93 codes.
        seed: Identifies the job; kept as text.
        parameters: Every other parameter by lower-case name: `query length`, `difficulty`, ...
        images: Roles and bytes in the order attached.
        num_prompt_chars: Length of all text, for the token estimate.
        max_tokens: Completion limit the client set, or None.
        is_correction: Whether the conversation has an earlier reply.
        schema: Of the reply, where the client sent one.
    """

    cell: Cell
    language: str
    seed: str
    parameters: dict[str, str]
    images: tuple[tuple[ImageRole, bytes], ...]
    num_prompt_chars: int
    max_tokens: int | None
    is_correction: bool
    schema: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @property
    def key(self) -> str:
        """The text from which every choice in the reply is derived."""
        others = "|".join(f"{name}={value}" for name, value in sorted(self.parameters.items()))
        return f"{self.seed}|{self.cell.name}|{self.language}|{others}"


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """The content of a request to judge a sample, or to choose among candidates.

    Args:
        language: One of the 93 codes.
        text: All of it, from which every choice is derived.
        images: Roles, such as "candidate_1", and bytes in the order attached.
        max_tokens: Completion limit the client set, or None.
        texts: JSON of the sample's texts; None where candidates are given.
        query: JSON of the query.
        candidates: JSON of the candidates.
    """

    language: str
    text: str
    images: tuple[tuple[str, bytes], ...]
    max_tokens: int | None
    texts: str | None
    query: str | None
    candidates: str | None


def parse_judge_request(body: Any) -> JudgeRequest | None:
    """Reads a decoded request body that asks for a judgement; None for any other.

    Raises:
        RequestError: The images do not match the roles named.
    """
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return None
    texts, contents = _read_parts(body["messages"])
    text = "\n".join(texts)
    parameters = _read_parameters(text)
    if "seed" in parameters or not {"texts", "candidates"} & set(parameters):
        return None
    roles = [role for role in re.split(r"[,\s]+", parameters.get("images", "")) if role]
    roles = [] if roles == ["none"] else roles
    if len(roles) != len(contents):
        raise RequestError(
            f"`Images:` names {len(roles)} roles but {len(contents)} images are attached"
        )
    return JudgeRequest(
        language=_read_language(_need(parameters, "language")),
        text=text,
        images=tuple(zip(roles, contents, strict=True)),
        max_tokens=read_max_tokens(body),
        texts=parameters.get("texts"),
        query=parameters.get("query"),
        candidates=parameters.get("candidates"),
    )


def parse_request(body: Any) -> TeacherRequest:
    """Reads a decoded request body.

    Raises:
        RequestError: If there are no messages, no parameters block, an image is not a base64
            data URL, or the images do not match the roles named.
    """
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise RequestError("the request has no `messages` list")
    if body.get("stream"):
        raise RequestError("the lexicon teacher does not stream; leave `stream` out")
    texts, contents = _read_parts(body["messages"])
    text = "\n".join(texts)
    parameters = _read_parameters(text)
    cell = _CELL_BY_PAIR.get(
        (_need(parameters, "task type"), _need(parameters, "modality combination"))
    )
    if cell is None:
        raise RequestError(
            f"no cell {parameters['task type']!r} {parameters['modality combination']!r}; "
            "write them as `Task type: retrieval` and `Modality combination: T->I`"
        )
    roles = _read_roles(parameters.get("images", ""))
    if len(roles) != len(contents):
        raise RequestError(
            f"`Images:` names {len(roles)} roles but {len(contents)} images are attached"
        )
    known = {"task type", "modality combination", "language", "seed", "images"}
    return TeacherRequest(
        cell=cell,
        language=_read_language(_need(parameters, "language")),
        seed=_need(parameters, "seed"),
        parameters={name: value for name, value in parameters.items() if name not in known},
        images=tuple(zip(roles, contents, strict=True)),
        num_prompt_chars=len(text),
        max_tokens=read_max_tokens(body),
        is_correction=any(
            isinstance(m, dict) and m.get("role") == "assistant" for m in body["messages"]
        ),
        schema=_read_schema(body),
    )


def read_small_talk(body: Any) -> str | None:
    """The text of a conversation that asks for no sample and shows nothing; None for any other."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return None
    texts, contents = _read_parts(body["messages"])
    text = "\n".join(texts)
    is_small_talk = text.strip() and not contents and _TASK_TYPE not in text
    return text if is_small_talk and not body.get("stream") else None


def read_max_tokens(body: dict[str, Any]) -> int | None:
    """The completion limit that the client set, if any."""
    max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    return max_tokens if isinstance(max_tokens, int) else None


def _read_schema(body: dict[str, Any]) -> dict[str, Any]:
    found: Any = body
    for name in ("response_format", "json_schema", "schema"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _read_parts(messages: list[Any]) -> tuple[list[str], list[bytes]]:
    texts: list[str] = []
    contents: list[bytes] = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str):
            texts.append(content)
            continue
        for part in content if isinstance(content, list) else []:
            if not isinstance(part, dict):
                raise RequestError("a message part is not an object")
            if part.get("type") == "text":
                texts.append(str(part.get("text", "")))
            elif part.get("type") == "image_url":
                contents.append(_read_data_url(part))
    return texts, contents


def _read_data_url(part: dict[str, Any]) -> bytes:
    url = part.get("image_url")
    url = url.get("url", "") if isinstance(url, dict) else url
    if not isinstance(url, str) or not url.startswith("data:"):
        raise RequestError("the lexicon teacher reads images from `data:` URLs only")
    head, _, encoded = url.partition(",")
    if not head.endswith(";base64"):
        raise RequestError("an image's data URL is not base64")
    try:
        return b64decode(encoded, validate=True)
    except binascii.Error as exc:
        raise RequestError(f"an image's base64 cannot be decoded: {exc}") from exc


def _read_parameters(text: str) -> dict[str, str]:
    """Reads the last block of `Name: value` lines that starts with `Task type:`."""
    start = max(text.rfind(_TASK_TYPE), 0)
    parameters: dict[str, str] = {}
    for name, value in _LINE.findall(text[start:]):
        parameters.setdefault(name.strip().lower(), value)
    return parameters


def _need(parameters: dict[str, str], name: str) -> str:
    value = parameters.get(name)
    if not value:
        raise RequestError(f"the prompt has no `{name.capitalize()}:` line in a parameters block")
    return value


def _read_language(value: str) -> str:
    """Takes the code out of `French (fr)` or `fr`."""
    found = re.search(r"\(([a-z]{2})\)\s*$", value)
    code = found.group(1) if found else value.strip()
    if code not in LANGUAGES:
        raise RequestError(f"unknown language {value!r}; write it as `Language: French (fr)`")
    return code


def _read_roles(value: str) -> list[ImageRole]:
    names = [name for name in re.split(r"[,\s]+", value.lower()) if name]
    if names == ["none"]:
        return []
    unknown = [name for name in names if name not in _ROLES]
    if unknown:
        raise RequestError(f"`Images:` names {unknown[0]!r}; use query, positive, negative")
    return [_ROLES[name] for name in names]
