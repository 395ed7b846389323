"""Requests as bytes: static parts serialised once, images as references until they are sent."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import orjson

from builder.config import TeacherConfig
from builder.generate.abilities import Abilities
from builder.generate.reply import drain
from builder.plan.job import Job
from builder.prompts import Prompt
from schemas.reply import judge_schema, reply_schema

Kind = Literal["sample", "correction", "judge"]
_IMAGE_CLOSE = b'"}}'
_CACHED_IMAGE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `key` is the hash of its payload with images by sha256, and of its job.

    The key covers model, parameters, reply schema and messages, not how
    the endpoint has to be asked for JSON, so it stays when that changes.
    `is_plain` asks for plain text, whatever the endpoint takes.
    """

    key: str
    kind: Kind
    model: str
    job: Job
    prompt_hash: str
    system: str
    parameters: str
    messages: tuple[bytes, ...]
    image_labels: tuple[str, ...]
    is_plain: bool = False

    def asked_with(self, abilities: Abilities) -> Abilities:
        """How this request is asked of an endpoint with such abilities."""
        return replace(abilities, format="text") if self.is_plain else abilities


class RequestFactory:
    """Makes requests for one model, and their bodies.

    Args:
        teacher: The model and its parameters.
        data_url: Image by sha256 -> data URL, as `ImageStore.data_url`.
    """

    def __init__(self, teacher: TeacherConfig, data_url: Callable[[str], str]) -> None:
        self.teacher = teacher
        self._data_url = data_url
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._image_bytes = 0
        self._head = lru_cache(64)(self._make_head)
        self._opening = lru_cache(64)(_opening)

    def sample(self, job: Job, prompt: Prompt) -> Request:
        """Asks for a job's sample."""
        return self._request("sample", job, prompt, ())

    def judge(self, job: Job, prompt: Prompt) -> Request:
        """Asks a judge for an evaluation of a job's revised texts."""
        return self._request("judge", job, prompt, ())

    def correction(self, asked: Request, prompt: Prompt, answer: str, note: str) -> Request:
        """Asks once more, showing the answer that could not be read and what is wrong with it.

        An answer flooded with white space is shown without the flood, lest it
        be taken up, and asked for without a schema, for it is constrained
        decoding that lets a model write white space until its tokens are used
        up. Source: vllm-project/vllm#38696.
        """
        drained = drain(answer)
        if drained is not None:
            answer = drained or "(white space)"  # some endpoints refuse an empty turn
        turns = (
            {"role": "assistant", "content": answer},
            {"role": "user", "content": note},
        )
        request = self._request("correction", asked.job, prompt, turns)
        return replace(request, is_plain=drained is not None)

    def body(self, request: Request, abilities: Abilities) -> bytes:
        """The JSON to send, images inside."""
        asked_with = request.asked_with(abilities)
        parts = [self._head(request.kind == "judge", request.job.cell, asked_with)]
        parts.append(request.messages[0])
        for label, sha256 in zip(request.image_labels, request.job.images, strict=True):
            parts += (_image_opening(label), self._image(sha256), _IMAGE_CLOSE)
        parts += (b"]}", *request.messages[1:], b"]}")
        return b"".join(parts)

    def texts(self, request: Request) -> tuple[bytes, ...]:
        """What is sent besides images, the reply schema among it."""
        head = self._head(request.kind == "judge", request.job.cell, Abilities())
        return (head, *request.messages, *(label.encode() for label in request.image_labels))

    def _request(
        self, kind: Kind, job: Job, prompt: Prompt, turns: tuple[dict[str, str], ...]
    ) -> Request:
        first = self._opening(prompt.system) + orjson.dumps(prompt.user) + b"}"
        messages = (first, *(b"," + orjson.dumps(turn) for turn in turns))
        digest = hashlib.sha256(self._head(kind == "judge", job.cell, Abilities()))
        digest.update(first)
        digest.update(f"{job.id},{','.join((*prompt.image_labels, *job.images))}".encode())
        for turn in messages[1:]:
            digest.update(turn)
        return Request(
            key=digest.hexdigest(),
            kind=kind,
            model=self.teacher.model,
            job=job,
            prompt_hash=prompt.hash,
            system=prompt.system,
            parameters=prompt.user,
            messages=messages,
            image_labels=prompt.image_labels,
        )

    def _make_head(self, judge: bool, cell: Any, abilities: Abilities) -> bytes:
        teacher = self.teacher
        body: dict[str, Any] = {"model": teacher.model}
        if teacher.temperature is not None and abilities.takes_temperature:
            body["temperature"] = teacher.temperature
        body[abilities.tokens_field] = teacher.max_completion_tokens
        if abilities.format == "json_schema":
            schema = judge_schema() if judge else reply_schema(cell)
            name = "evaluation" if judge else cell.name
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "strict": True, "schema": schema},
            }
        elif abilities.format == "json_object":
            body["response_format"] = {"type": "json_object"}
        body |= teacher.extra_body
        return orjson.dumps(body)[:-1] + b',"messages":['

    def _image(self, sha256: str) -> bytes:
        found = self._images.get(sha256)
        if found is not None:
            self._images.move_to_end(sha256)
            return found
        data = self._data_url(sha256).encode()
        self._images[sha256] = data
        self._image_bytes += len(data)
        while self._image_bytes > _CACHED_IMAGE_BYTES and len(self._images) > 1:
            _, dropped = self._images.popitem(last=False)
            self._image_bytes -= len(dropped)
        return data


def _opening(system: str) -> bytes:
    """Everything from the first message up to the user's text."""
    return (
        b'{"role":"system","content":'
        + orjson.dumps(system)
        + b'},{"role":"user","content":[{"type":"text","text":'
    )


@lru_cache(64)
def _image_opening(label: str) -> bytes:
    """An image's label as a part of its own, and the image part up to its URL."""
    text = b',{"type":"text","text":' + orjson.dumps(label) + b"}"
    return text + b',{"type":"image_url","image_url":{"url":"'
