"""The endpoint: one POST per call through the openai client, and what its failures mean."""

import asyncio
import email.utils
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import httpx2
import orjson
from openai import AsyncOpenAI, Omit
from openai import DefaultAioHttpClient as AioHttpClient

from builder.config import TeacherConfig
from builder.endpoint.health import EndpointError, FailureKind, SendError, kind_of_status

#: A connection is made within seconds or not at all; how long an answer may take is `timeout_s`.
CONNECT_TIMEOUT_S = 15.0
_KEEPALIVE_S = 60.0
#: Headers about this machine; no endpoint needs them, and each costs time.
_LEFT_OUT = {
    f"X-Stainless-{name}": Omit()
    for name in ("Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async")
}
_NO_ANSWER = (TimeoutError, httpx2.HTTPError, aiohttp.ClientError, OSError)
_QUOTA_CODES = re.compile(r"insufficient_quota|billing_(hard_limit|not_active)|credit balance")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of status 200, as it came."""

    body: bytes


class Endpoint:
    """An OpenAI-compatible chat endpoint.

    Address, key, headers and connection pool are the openai client's; bodies
    and answers go through that pool as bytes, past the client's models: a
    quarter of the CPU time of `chat.completions.create`.

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
        # 0 is no limit for aiohttp; with None it keeps to 100 connections.
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
            raise EndpointError(f"base_url: not a valid URL ({exc}). Fix it.") from exc
        # Since openai 3, `default_headers` lacks the key: it is in `auth_headers`.
        auth = self.openai.auth_headers if self._key else {}
        self._headers = httpx2.Headers(
            {
                name: value
                for name, value in {**auth, **self.openai.default_headers}.items()
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

    async def list_models(self, timeout_s: float) -> int:
        """Asks for the list of models, which is free and quick; returns the HTTP status.

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
        is_out_of_credit = _QUOTA_CODES.search(body.decode("utf-8", "replace")) is not None
        kind = kind_of_status(status, is_out_of_credit=is_out_of_credit)
        return SendError(
            kind,
            f"http_{status}",
            f"{self.address} answered {status}: {_message(body) or 'no reason given'}."
            f"{self._advice(kind, status)}",
            status=status,
            retry_after_s=retry_after_s(headers or {}),
            body=body,
        )

    def _advice(self, kind: FailureKind, status: int) -> str:
        """What to do about an error after which no request can succeed, as a sentence."""
        if kind == "forbidden":
            return f" The key may not use model {self.model}; check its rights."
        if kind != "fatal":
            return ""
        if status == 401:
            return f" Check {self._key_env}."
        if status == 404:
            return f" Check the model name ({self.model}) and the address, which ends in /v1."
        return " No credit is left there; add some and run the same command."

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
