"""Requests as bytes: static parts serialised once, images as references until they are sent."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import orjson
from cachetools import LRUCache

from builder.config import TeacherConfig
from builder.endpoint.capabilities import Capabilities
from builder.endpoint.completion import remove_flood
from builder.images.data_url import CommonFormat, media_type, recoded
from builder.job import Job
from builder.ledger.tables import SentRequest
from builder.prompts import Prompt
from schemas.choice import choice_schema
from schemas.reply import judge_schema, reply_schema
from schemas.reply_fields import ReplyField

Kind = Literal["sample", "correction", "judge", "choice", "probe"]
#: What a reply is to look like.
ReplyKind = Literal["sample", "judge", "choice"]
_IMAGE_CLOSE = b'"}}'
_CACHED_IMAGE_BYTES = 64 * 2**20
#: Longest side of the images of a probe that asks whether they are too large.
SMALL_SIDE_PX = 128


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `key` is the hash of its payload with images by sha256, and of its job.

    The key covers model, parameters, reply schema and messages, but not how
    the endpoint has to be asked for JSON, so it stays when that changes.
    `is_plain` asks for plain text, whatever the endpoint supports.
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

    def ask_with(self, capabilities: Capabilities) -> Capabilities:
        """How this request is asked of an endpoint with such capabilities."""
        return replace(capabilities, format="text") if self.is_plain else capabilities

    def record(
        self, request_id: int, batch: str | None = None, *, most_usd: float | None = None
    ) -> SentRequest:
        """The ledger's record of it.

        Args:
            request_id: As the ledger's writer gives it.
            batch: Key of the batch it goes out in, if it does.
            most_usd: The most it can cost, where a price is known.
        """
        return SentRequest(
            request_id,
            self.key,
            self.job.id,
            self.kind,
            self.prompt_hash,
            self.parameters,
            batch,
            self.model,
            most_usd,
        )


@dataclass(frozen=True, slots=True)
class Form:
    """A form in which a probe sends a request.

    Args:
        capabilities: How it is asked for JSON, with which fields.
        max_tokens: Limit on the reply; None for none at all.
        images: Which of its images it shows; "small" for all of them reduced.
    """

    capabilities: Capabilities
    max_tokens: int | None
    images: Literal["all", "first", "small", "none"] = "all"


class RequestFactory:
    """Makes requests for one model, and their bodies.

    Args:
        teacher: The model and its parameters.
        data_url: Image by sha256 -> data URL, as `ImageStore.data_url`.
        key_tokens: Limit on a reply's tokens that keys are made with, so that they stay when the
            limit changes; the teacher's if not given.
        own_fields: What replies have besides the built-in fields.
    """

    def __init__(
        self,
        teacher: TeacherConfig,
        data_url: Callable[[str], str],
        key_tokens: int | None = None,
        own_fields: tuple[ReplyField, ...] = (),
    ) -> None:
        self.teacher = teacher
        self._key_tokens = key_tokens or teacher.max_completion_tokens
        self._data_url = data_url
        self._own_fields = own_fields
        self._images: LRUCache[str, bytes] = LRUCache(_CACHED_IMAGE_BYTES, getsizeof=len)
        self._head = lru_cache(64)(self._configured_head)
        self._key_head = lru_cache(64)(self._make_key_head)
        self._opening = lru_cache(64)(_opening)

    def sample(self, job: Job, prompt: Prompt) -> Request:
        """Asks for a job's sample."""
        return self._request("sample", job, prompt, ())

    def judge(self, job: Job, prompt: Prompt) -> Request:
        """Asks a judge for an evaluation of a job's revised texts."""
        return self._request("judge", job, prompt, ())

    def choice(self, job: Job, prompt: Prompt) -> Request:
        """Asks a judge to choose among candidates; the job's images are in the prompt's order."""
        return self._request("choice", job, prompt, ())

    def correction(self, asked: Request, prompt: Prompt, answer: str, note: str) -> Request:
        """Asks once more, showing the answer that could not be read and what is wrong with it.

        An answer flooded with white space is shown without the flood, so that
        the model does not continue it, and is asked for without a schema, for it is constrained
        decoding that lets a model write white space until its tokens are used
        up. Source: vllm-project/vllm#38696.
        """
        without_flood = remove_flood(answer)
        if without_flood is not None:
            answer = without_flood or "(white space)"  # some endpoints refuse an empty turn
        turns = (
            {"role": "assistant", "content": answer},
            {"role": "user", "content": note},
        )
        request = self._request("correction", asked.job, prompt, turns)
        return replace(request, is_plain=without_flood is not None)

    def body(self, request: Request, capabilities: Capabilities) -> bytes:
        """The JSON to send, images inside."""
        asked_with = request.ask_with(capabilities)
        parts = [self._head(_reply_kind(request.kind), request.job.cell, asked_with)]
        parts.append(request.messages[0])
        for label, sha256 in zip(request.image_labels, request.job.images, strict=True):
            image = self._image(sha256, asked_with.recoded)
            parts += (_image_opening(label), image, _IMAGE_CLOSE)
        parts += (b"]}", *request.messages[1:], b"]}")
        return b"".join(parts)

    def probe(self, request: Request, form: Form) -> bytes:
        """The JSON of a request in another form, to find out what of it is refused."""
        head = self._make_head(
            _reply_kind(request.kind), request.job.cell, form.capabilities, form.max_tokens
        )
        parts = [head, request.messages[0]]
        pairs = list(zip(request.image_labels, request.job.images, strict=True))
        num_images = {"first": 1, "none": 0}.get(form.images, len(pairs))
        for label, sha256 in pairs[:num_images]:
            image = self._image(sha256, form.capabilities.recoded)
            if form.images == "small":
                image = recoded(image.decode(), "image/jpeg", SMALL_SIDE_PX).encode()
            parts += (_image_opening(label), image, _IMAGE_CLOSE)
        return b"".join((*parts, b"]}", *request.messages[1:], b"]}"))

    def hello(self) -> bytes:
        """The JSON of the shortest request there is: text alone, no field that may be refused."""
        turn = {"role": "user", "content": "Reply with the word hello."}
        return orjson.dumps({"model": self.teacher.model, "messages": [turn]})

    def media_types(self, request: Request, capabilities: Capabilities) -> frozenset[str]:
        """In what formats a request's images are sent."""
        images = (self._image(sha256, capabilities.recoded) for sha256 in request.job.images)
        return frozenset(media_type(image[:64].decode()) for image in images)

    def texts(self, request: Request) -> tuple[bytes, ...]:
        """What is sent besides images, the reply schema among it."""
        head = self._head(_reply_kind(request.kind), request.job.cell, Capabilities())
        return (head, *request.messages, *(label.encode() for label in request.image_labels))

    def _request(
        self, kind: Kind, job: Job, prompt: Prompt, turns: tuple[dict[str, str], ...]
    ) -> Request:
        first = self._opening(prompt.system) + orjson.dumps(prompt.user) + b"}"
        messages = (first, *(b"," + orjson.dumps(turn) for turn in turns))
        digest = hashlib.sha256(self._key_head(_reply_kind(kind), job.cell))
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

    def _configured_head(self, kind: ReplyKind, cell: Any, capabilities: Capabilities) -> bytes:
        return self._make_head(kind, cell, capabilities, self.teacher.max_completion_tokens)

    def _make_key_head(self, kind: ReplyKind, cell: Any) -> bytes:
        return self._make_head(kind, cell, Capabilities(), self._key_tokens)

    def _make_head(
        self, kind: ReplyKind, cell: Any, capabilities: Capabilities, max_tokens: int | None
    ) -> bytes:
        teacher = self.teacher
        body: dict[str, Any] = {"model": teacher.model}
        if teacher.temperature is not None and capabilities.takes_temperature:
            body["temperature"] = teacher.temperature
        if max_tokens is not None:
            body[capabilities.tokens_field] = max_tokens
        if capabilities.format == "json_schema":
            name, schema = self._schema(kind, cell)
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "strict": True, "schema": schema},
            }
        elif capabilities.format == "json_object":
            body["response_format"] = {"type": "json_object"}
        refused = capabilities.refused_fields
        body |= {name: v for name, v in teacher.extra_body.items() if name not in refused}
        return orjson.dumps(body)[:-1] + b',"messages":['

    def _schema(self, kind: ReplyKind, cell: Any) -> tuple[str, dict[str, Any]]:
        """Name and JSON Schema of a reply."""
        if kind == "judge":
            return "evaluation", judge_schema()
        if kind == "choice":
            return "choice", choice_schema()
        return cell.name, reply_schema(cell, self._own_fields)

    def _image(self, sha256: str, types: frozenset[tuple[str, CommonFormat]]) -> bytes:
        """An image as a data URL, in the format the endpoint takes."""
        data = self._cached(sha256, None)
        if not types:
            return data
        wanted = dict(types).get(media_type(data[:64].decode()))
        return data if wanted is None else self._cached(sha256, wanted)

    def _cached(self, sha256: str, wanted: CommonFormat | None) -> bytes:
        name = sha256 if wanted is None else f"{sha256} {wanted}"
        found = self._images.get(name)
        if found is not None:
            return found
        url = self._data_url(sha256)
        data = (url if wanted is None else recoded(url, wanted)).encode()
        with suppress(ValueError):  # one larger than all that is kept is not kept
            self._images[name] = data
        return data


def _reply_kind(kind: Kind) -> ReplyKind:
    return kind if kind in ("judge", "choice") else "sample"


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
