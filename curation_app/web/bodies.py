"""Request bodies: read whole before the app runs, bounded, and refused where they are no JSON."""

import asyncio

import orjson
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

MAX_BODY_BYTES = 2**20
_MAX_FORM_BYTES = 2**14
_TIMEOUT_S = 30.0
_JSON_PREFIX = "/gradio_api/"


class BodyProblem(Exception):
    """A body that is refused.

    Args:
        status: The HTTP status to answer with.
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


async def read_body(scope: Scope, receive: Receive) -> Receive:
    """Reads a request's body and returns what hands it on to the app.

    Bounded whether its length was announced or it comes in chunks. JSON is
    parsed strictly: an unpaired surrogate, `NaN` or a nesting of thousands
    never gets to code that trips over it.

    Raises:
        BodyProblem: Too large, too slow, not JSON where JSON is due.
    """
    if scope["method"] != "POST":
        return receive
    headers = Headers(scope=scope)
    is_json = scope["path"].startswith(_JSON_PREFIX)
    max_bytes = MAX_BODY_BYTES if is_json else _MAX_FORM_BYTES
    announced = headers.get("content-length", "0")
    if not announced.isascii() or not announced.isdigit() or int(announced) > max_bytes:
        raise BodyProblem(413, _too_large(max_bytes))
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            body = await _whole(receive, max_bytes)
    except TimeoutError as exc:
        raise BodyProblem(408, "The request came too slowly. Try again.") from exc
    if is_json:
        _check_json(headers.get("content-type", ""), body)
    return _replay(body, receive)


async def _whole(receive: Receive, max_bytes: int) -> bytes:
    parts, num_bytes, has_more = [], 0, True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyProblem(400, "The request ended early.")
        parts.append(message.get("body", b""))
        num_bytes += len(parts[-1])
        if num_bytes > max_bytes:
            raise BodyProblem(413, _too_large(max_bytes))
        has_more = message.get("more_body", False)
    return b"".join(parts)


def _check_json(content_type: str, body: bytes) -> None:
    if not body:
        return
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BodyProblem(415, "Only JSON is taken here.")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        what = "an unpaired surrogate" if "surrogate" in exc.msg else exc.msg
        raise BodyProblem(400, f"The request is not valid JSON: {what}.") from exc


def _replay(body: bytes, receive: Receive) -> Receive:
    """First the body, then what comes on the connection: its end."""
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _too_large(max_bytes: int) -> str:
    return f"The request is too large: at most {max_bytes:,} bytes are taken."
