"""The endpoint: one POST per call through the openai client, and what its failures mean."""

import asyncio
import email.utils
import os
import re
import ssl
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import aiohttp
import httpx2
from openai import AsyncOpenAI, Omit
from openai import DefaultAioHttpClient as AioHttpClient

from builder.config import TeacherConfig
from builder.endpoint.completion import read_json
from builder.endpoint.error_body import error_in_answer, error_words, number_of
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


@cache
def _ssl_context() -> ssl.SSLContext:
    """The certificates that are trusted, read once: it takes longer than a short build's plan."""
    return httpx2.create_ssl_context()


class Endpoint:
    """An OpenAI-compatible chat endpoint.

    Address, key, headers and connection pool are the openai client's; bodies
    and answers go through that pool as bytes, past the client's models: a
    quarter of the CPU time of `chat.completions.create`.

    Args:
        teacher: Model, address and timeout.
        key: API key; by default that of the environment variable the teacher names.

    Raises:
        EndpointError: No key, and no address that could do without one; or no header can hold it.
    """

    def __init__(self, teacher: TeacherConfig, key: str | None = None) -> None:
        url = (teacher.base_url or os.environ.get("OPENAI_BASE_URL") or "").strip() or None
        self.key_env = teacher.api_key_env
        self._key = clean_key(self.key_env, key or os.environ.get(self.key_env) or "")
        if not self._key and url is None:
            raise EndpointError(
                f"{self.key_env} is not set. Set it, or name an endpoint that needs none in "
                "OPENAI_BASE_URL (the offline teacher: `python -m builder teacher`)."
            )
        organization, project = (
            clean_key(name, os.environ.get(name) or "") or None for name in _HEADER_VARIABLES
        )
        self.model = teacher.model
        self._timeout_s = teacher.timeout_s
        # 0 is no limit for aiohttp; with None it keeps to 100 connections.
        limits = httpx2.Limits(
            max_connections=0, max_keepalive_connections=None, keepalive_expiry=_KEEPALIVE_S
        )
        timeout = httpx2.Timeout(teacher.timeout_s, connect=CONNECT_TIMEOUT_S, pool=None)
        self._http = AioHttpClient(limits=limits, timeout=timeout, verify=_ssl_context())
        try:
            self.openai = AsyncOpenAI(
                api_key=self._key or "none",
                base_url=url,
                organization=organization,
                project=project,
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
            SendError: Anything but an answer of status 200 without an error inside.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.send(
                    httpx2.Request("POST", self._url, headers=self._headers, content=body)
                )
        except _NO_ANSWER as exc:
            raise self._no_answer(exc, self._timeout_s) from exc
        status, body = response.status_code, response.content
        if status == 200:
            inside = error_in_answer(body)
            if inside is None:
                return Answer(self.hide_key(body))
            status = inside.status
        raise self.status_error(status, body, response.headers, answered=response.status_code)

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
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        answered: int | None = None,
    ) -> SendError:
        """What an error answer means.

        Args:
            status: The HTTP status that counts.
            body: As it came.
            headers: For `Retry-After`.
            answered: HTTP status of the answer, where its body names the one that counts.
        """
        body = self.hide_key(body)
        answered = answered or status
        if status == 400:  # gateways pass other errors on so
            status = number_of(read_json(body)) or status
        is_out_of_credit = _QUOTA_CODES.search(body.decode("utf-8", "replace")) is not None
        kind = kind_of_status(status, is_out_of_credit=is_out_of_credit)
        words = error_words(body)
        inside = f" with error {status} inside" if answered != status else ""
        return SendError(
            kind,
            f"http_{status}",
            f"{self.address} answered {answered}{inside}: {words or 'no reason given'}."
            f"{self._advice(kind, status)}",
            status=status,
            retry_after_s=retry_after_s(headers or {}),
            body=body,
            words=words,
        )

    def _advice(self, kind: FailureKind, status: int) -> str:
        """What to do about an error after which no request can succeed, as a sentence."""
        if kind == "forbidden":
            return f" The key may not use model {self.model}; check its rights."
        if kind != "fatal":
            return ""
        if status == 401:
            return f" Check {self.key_env}."
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


#: The client of OpenAI makes headers of these too.
_HEADER_VARIABLES = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
_QUOTES = frozenset("\"'`")


def clean_key(name: str, value: str) -> str:
    """An API key without the white space around it.

    Args:
        name: Environment variable it comes from.
        value: The key; no message repeats it.

    Raises:
        EndpointError: It holds a character that no key has.
    """
    key = value.strip()
    wrong = next((place for place, char in enumerate(key) if not "!" <= char <= "~"), None)
    if wrong is None and _QUOTES.isdisjoint({*key[:1], *key[-1:]}):
        return key
    place = (0 if key[0] in _QUOTES else len(key) - 1) if wrong is None else wrong
    char = key[place]
    what = unicodedata.name(char, "").lower() or f"the control character U+{ord(char):04X}"
    raise EndpointError(
        f"{name}: character {place + 1} of {len(key)} is one that no key has ({_described(what)}). "
        "Set the variable again with the key alone: no quotes, spaces or line breaks; nothing was "
        "sent."
    )


def _described(what: str) -> str:
    return "byte order mark" if what == "zero width no-break space" else what


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


def _without_secrets(url: str) -> str:
    """The address without user, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")
