"""The Batch API of OpenAI's shape: upload a file, start a batch, look at it, fetch its results."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import aiohttp
import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI

from builder.endpoint.client import Endpoint
from builder.endpoint.health import EndpointError
from schemas.errors import PolysceneError

#: A batch carries its key here, so that one started just before a kill is found again.
KEY_FIELD = "polyscene_batch"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_FILE_TIMEOUT_S = 900.0
_MAX_TRIES = 6
_FIRST_WAIT_S = 1.0
#: What OpenAI says where the batches under way fill a model's queue.
_QUEUE_FULL = re.compile(r"token_limit_exceeded|enqueued token limit", re.IGNORECASE)

_ERRORS = (APIStatusError, APIConnectionError, httpx2.HTTPError, aiohttp.ClientError)

T = TypeVar("T")


class BatchLimit(PolysceneError):
    """The provider's queue is full; later there will be room."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is.

    Args:
        id: The provider's.
        status: As the provider names it.
        is_over: Whether nothing more will happen.
        output_file_id: Replies, if any.
        error_file_id: Requests that brought none, if any.
        what: Why it failed as a whole, or "".
    """

    id: str
    status: str
    is_over: bool
    output_file_id: str | None
    error_file_id: str | None
    what: str

    @property
    def is_turned_away(self) -> bool:
        """Whether it failed only because the provider's queue was full."""
        return self.status == "failed" and _QUEUE_FULL.search(self.what) is not None


class BatchApi:
    """The calls a batch needs, each repeated while the endpoint's trouble may pass.

    Args:
        endpoint: Address, key and error texts.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._client: AsyncOpenAI = endpoint.openai

    async def upload(self, path: Path) -> str:
        """Uploads a file of requests; returns its id."""

        async def call() -> str:
            made = await self._client.files.create(
                file=path, purpose="batch", timeout=_FILE_TIMEOUT_S
            )
            return made.id

        return await self._retry(call)

    async def start(self, file_id: str, key: str, window: str) -> str:
        """Starts a batch under our key; not tried again by itself, for it costs money.

        Raises:
            BatchLimit: The provider's queue is full; it was not started.
            EndpointError: It was refused, or the answer was lost; `find` says which.
        """
        try:
            made = await self._client.batches.create(
                input_file_id=file_id,
                endpoint="/v1/chat/completions",
                completion_window=window,  # type: ignore[arg-type]
                metadata={KEY_FIELD: key},
            )
        except _ERRORS as exc:
            message = self._message(exc)
            if isinstance(exc, APIStatusError) and _QUEUE_FULL.search(exc.response.text):
                raise BatchLimit(message) from exc
            raise EndpointError(f"{message} Run the same command again.") from exc
        return made.id

    async def find(self, key: str, file_id: str) -> str | None:
        """Id of a batch that was started under our key or from our file, or None.

        Some providers keep no metadata, but all know a batch's file. Batches
        that failed as a whole ran nothing and do not count.
        """

        async def call() -> str | None:
            async for batch in self._client.batches.list(limit=100):
                is_ours = (batch.metadata or {}).get(KEY_FIELD) == key
                if (is_ours or batch.input_file_id == file_id) and batch.status != "failed":
                    return batch.id
            return None

        return await self._retry(call)

    async def state(self, batch_id: str) -> BatchState:
        """How far a batch is."""

        async def call() -> BatchState:
            found = await self._client.batches.retrieve(batch_id)
            errors = (found.errors.data if found.errors else None) or []
            what = "; ".join(f"{error.code}: {error.message}" for error in errors[:3])
            return BatchState(
                found.id,
                found.status,
                found.status in _ENDED,
                found.output_file_id,
                found.error_file_id,
                self.endpoint.hide_key(what.encode()).decode(),
            )

        return await self._retry(call)

    async def download(self, file_id: str, path: Path) -> None:
        """Streams a file of results to disk, whole or not at all."""

        async def call() -> None:
            partial = path.with_suffix(".part")
            content = self._client.files.with_streaming_response.content(
                file_id, timeout=_FILE_TIMEOUT_S
            )
            async with content as response:
                with partial.open("wb") as file:
                    async for chunk in response.iter_bytes(2**20):
                        file.write(chunk)
            partial.replace(path)

        await self._retry(call)

    async def _retry(self, call: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(_MAX_TRIES):
            try:
                return await call()
            except _ERRORS as exc:
                status = exc.status_code if isinstance(exc, APIStatusError) else 0
                may_pass = status in {0, 408, 409, 429} or status >= 500
                if not may_pass or attempt == _MAX_TRIES - 1:
                    raise EndpointError(
                        f"{self._message(exc)} Run the same command again to go on."
                    ) from exc
                await asyncio.sleep(_FIRST_WAIT_S * 2**attempt)
        raise AssertionError("unreachable")

    def _message(self, exc: Exception) -> str:
        if isinstance(exc, APIStatusError):
            response = exc.response
            error = self.endpoint.status_error(
                response.status_code, response.content, response.headers
            )
            return error.message
        said = self.endpoint.hide_key(str(exc).encode()).decode()
        return f"{self.endpoint.address}: {said or type(exc).__name__}."
