"""The endpoint: one POST a call through the openai client, and what its failures mean."""

import asyncio
import email.utils
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
import httpx2
import orjson
from openai import AsyncOpenAI, Omit
from openai import DefaultAioHttpClient as AioHttpClient

from builder.config import TeacherConfig
from schemas.errors import PolysceneError

CONNECT_TIMEOUT_S = 15.0
_KEEPALIVE_S = 60.0
#: Headers about this machine; no endpoint needs them, and each costs time.
_LEFT_OUT = {
    f"X-Stainless-{name}": Omit()
    for name in ("Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async")
}
_NO_ANSWER = (TimeoutError, httpx2.HTTPError, aiohttp.ClientError, OSError)
_QUOTA_CODES = re.compile(r"insufficient_quota|billing_(hard_limit|not_active)|credit balance")

#: `pushback`: slow down; `trouble`: try again; `refused`: this request will never be taken;
#: `fatal`: no request will be; `forbidden`: either, as what others bring tells.
FailureKind = Literal["pushback", "trouble", "refused", "fatal", "forbidden"]


class EndpointError(PolysceneError):
    """No request can succeed: wrong key, unknown model, no credit, or nothing but failures."""


class DeadEndpoint(EndpointError):
    """Nothing but failures, or silence: calls in flight are not worth waiting for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of status 200, as it came."""

    body: bytes


class SendError(Exception):
    """A call that brought no answer.

    Args:
        kind: What to do about it.
        what: Short name for counts, such as `http_429` or `timeout`.
        message: For people; holds no secret.
        status: HTTP status, 0 where none came.
        retry_after_s: How long the endpoint asks to be left alone.
        body: Body of the error answer.
    """

    def __init__(
        self,
        kind: FailureKind,
        what: str,
        message: str,
        *,
        status: int = 0,
        retry_after_s: float | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.what = what
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body


class Endpoint:
    """An OpenAI-compatible chat endpoint.

    Address, key and headers are the openai client's, and so is the connection
    pool; bodies and answers go through that pool as bytes, past the client's
    models: a quarter of the CPU time of `chat.completions.create`.

    Args:
        teacher: Model, address and timeout.
        key: API key; by default that of the environment variable the teacher names.

    Raises:
        EndpointError: No key, and no address that could do without one.
    """

    def __init__(self, teacher: TeacherConfig, key: str | None = None) -> None:
        url = teacher.base_url or os.environ.get("OPENAI_BASE_URL") or None
        self._key_env = teacher.api_key_env
        self._key = key or os.environ.get(self._key_env) or ""
        if not self._key and url is None:
            raise EndpointError(
                f"{self._key_env} is not set. Set it, or name an endpoint that needs none in "
                "OPENAI_BASE_URL (the offline teacher: `python -m builder teacher`)."
            )
        self.model = teacher.model
        self._timeout_s = teacher.timeout_s
        # 0 is no bound for aiohttp; with None it keeps to 100 connections.
        limits = httpx2.Limits(
            max_connections=0, max_keepalive_connections=None, keepalive_expiry=_KEEPALIVE_S
        )
        timeout = httpx2.Timeout(teacher.timeout_s, connect=CONNECT_TIMEOUT_S, pool=None)
        self._http = AioHttpClient(limits=limits, timeout=timeout)
        try:
            self.openai = AsyncOpenAI(
                api_key=self._key or "none",
                base_url=url,
                max_retries=0,
                timeout=timeout,
                http_client=self._http,
                default_headers=_LEFT_OUT,  # type: ignore[arg-type]
            )
            self._url = self.openai.base_url.join("chat/completions")
        except (httpx2.InvalidURL, ValueError) as exc:
            raise EndpointError(f"base_url: not an address ({exc}). Mend it.") from exc
        # `default_headers` holds no key since openai 3: it comes apart, and is easily forgotten.
        told = self.openai.auth_headers if self._key else {}
        self._headers = httpx2.Headers(
            {
                name: value
                for name, value in {**told, **self.openai.default_headers}.items()
                if isinstance(value, str)
            }
        )
        self.address = _without_secrets(str(self.openai.base_url))

    async def close(self) -> None:
        await self.openai.close()

    async def send(self, body: bytes) -> Answer:
        """Posts one chat completion.

        Raises:
            SendError: Anything but an answer of status 200.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.send(
                    httpx2.Request("POST", self._url, headers=self._headers, content=body)
                )
        except _NO_ANSWER as exc:
            raise self._no_answer(exc, self._timeout_s) from exc
        if response.status_code == 200:
            return Answer(self.hide_key(response.content))
        raise self.status_error(response.status_code, response.content, response.headers)

    async def look(self, timeout_s: float) -> int:
        """Asks for the list of models, which is free and takes no time; returns the status.

        Raises:
            SendError: No answer came.
        """
        url = self.openai.base_url.join("models")
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._http.send(httpx2.Request("GET", url, headers=self._headers))
        except _NO_ANSWER as exc:
            raise self._no_answer(exc, timeout_s) from exc
        return response.status_code

    def status_error(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> SendError:
        """What an HTTP status other than 200 means."""
        body = self.hide_key(body)
        said = _message(body)
        what = f"http_{status}"
        at = f"{self.address} answered {status}"

        def error(kind: FailureKind, advice: str = "") -> SendError:
            return SendError(
                kind,
                what,
                f"{at}: {said or 'no reason given'}.{advice}",
                status=status,
                retry_after_s=retry_after_s(headers or {}),
                body=body,
            )

        if status == 401:
            return error("fatal", f" Check {self._key_env}.")
        if status == 403:
            return error("forbidden", f" The key may not use model {self.model}; check its rights.")
        if status == 404:
            return error(
                "fatal", f" Check the model name ({self.model}) and the address; it ends in /v1."
            )
        if status == 402 or (
            status == 429 and _QUOTA_CODES.search(body.decode("utf-8", "replace"))
        ):
            return error("fatal", " No credit is left there; add some and run the same command.")
        if status in {429, 503, 529}:
            return error("pushback")
        if status >= 500 or status in {408, 409, 425}:
            return error("trouble")
        return error("refused")

    def _no_answer(self, exc: BaseException, timeout_s: float) -> SendError:
        cause = exc.__cause__ or exc
        inner = cause.__cause__ or cause
        said = self.hide_key(str(inner).encode()).decode() or type(inner).__name__
        if isinstance(inner, aiohttp.ServerDisconnectedError | ConnectionResetError):
            what = "connection_lost"
        elif isinstance(cause, aiohttp.ConnectionTimeoutError):
            what = "connect_timeout"
            said = f"no connection within {CONNECT_TIMEOUT_S:g} s"
        elif isinstance(inner, aiohttp.ClientConnectorError | ConnectionRefusedError):
            what = "no_connection"
        elif isinstance(exc, TimeoutError | httpx2.TimeoutException):
            what = "timeout"
            said = f"no answer within {timeout_s:g} s"
        else:
            what = "connection_lost"
        return SendError("trouble", what, f"{self.address}: {said}.")

    def hide_key(self, body: bytes) -> bytes:
        """The bytes without the API key, should an endpoint echo it."""
        key = self._key.encode()
        return body.replace(key, b"[key]") if len(key) >= 8 and key in body else body


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds asked for by `Retry-After` (seconds or an HTTP date) or `retry-after-ms`."""
    milliseconds = headers.get("retry-after-ms")
    value = headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if value is None:
            return None
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


def _message(body: bytes) -> str:
    """The reason an error answer gives, on one line and short."""
    text = body.decode("utf-8", "replace")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if isinstance(content, dict):
        error = content.get("error", content)
        if isinstance(error, dict):
            error = error.get("message") or error.get("detail")
        if isinstance(error, str):
            text = error
    line = " ".join(text.split())
    return line[:200].rstrip(".")


def _without_secrets(url: str) -> str:
    """The address without user, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")
