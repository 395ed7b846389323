"""Fetches URLs in the background: redirects, retries, robots.txt, limits on time and size."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self

import aiohttp
from yarl import URL

from builder.images.sources.download.addresses import (
    CheckedResolver,
    IsAllowed,
    PrivateAddressError,
    UrlError,
    checked_url,
    is_any,
    is_public,
)
from builder.images.sources.download.hosts import Host, HostDownError
from builder.images.sources.download.retrying import PASSING, retry_wait_s
from builder.images.sources.download.robots import (
    AGENT,
    MAX_ROBOTS_BYTES,
    Rules,
    is_forbidden_by_tag,
)
from builder.images.vetting import Reason

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": f"{AGENT} (image downloader)", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class UrlOptions:
    """How images are downloaded.

    Args:
        allow_private_hosts: Also from loopback and private addresses.
        fetched: Reason and explanation if a URL was refused for good by an earlier run,
            (None, None) if it gave an image, None if it is to be fetched.
        timeout_s: Longest wait for a connection, and for the next bytes; three times as
            long for a whole file.
        num_attempts: Tries of a URL whose failure may pass.
        max_open: Requests at once.
        max_open_per_host: Of these, to one host.
        is_allowed: Replaces the rule of which addresses are public.
    """

    allow_private_hosts: bool = False
    fetched: Callable[[str], tuple[str | None, str | None] | None] = lambda url: None
    timeout_s: float = 20.0
    num_attempts: int = 3
    max_open: int = 32
    max_open_per_host: int = 4
    is_allowed: IsAllowed = is_public


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a URL gave no file; `is_final` if it will not on another day either."""

    reason: Reason
    what: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class _Passing:
    """A failure that another try may not meet, and how long the host asks to wait."""

    failed: Failed
    wait_s: float | None = None


class Downloader:
    """Fetches files in a thread of its own.

    Args:
        options: Limits.
        max_bytes: Largest file.
    """

    def __init__(self, options: UrlOptions, max_bytes: int) -> None:
        self._options = options
        self._max_bytes = max_bytes
        self._is_allowed = is_any if options.allow_private_hosts else options.is_allowed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._hosts: dict[str, Host] = {}
        self._rules: dict[str, asyncio.Task[Rules | Failed | _Passing]] = {}
        self._open_slots = asyncio.Semaphore(options.max_open)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def submit(self, url: str) -> Future[bytes | Failed]:
        """Starts to fetch a URL."""
        return asyncio.run_coroutine_threadsafe(self._fetch(url), self._loop)

    async def _open(self) -> None:
        limit_s = self._options.timeout_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=CheckedResolver(self._is_allowed), use_dns_cache=False, limit=0
            ),
            timeout=aiohttp.ClientTimeout(
                total=3 * limit_s, sock_connect=limit_s, sock_read=limit_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers=_HEADERS,
        )

    async def _close(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    async def _fetch(self, text: str) -> bytes | Failed:
        """Tries a URL until it gives a file, fails for good, or was tried often enough."""
        result: bytes | Failed | _Passing = Failed("no_answer", "it was not tried", False)
        for attempt in range(self._options.num_attempts):
            result = await self._follow(text)
            if not isinstance(result, _Passing):
                return result
            wait_s = retry_wait_s(attempt, result.wait_s)
            if wait_s is None or attempt + 1 == self._options.num_attempts:
                break
            await asyncio.sleep(wait_s)
        assert isinstance(result, _Passing)
        return result.failed

    async def _follow(self, text: str) -> bytes | Failed | _Passing:
        """One try: follows redirects, each of whose targets is checked like the first."""
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                url = checked_url(text, self._is_allowed)
            except UrlError as exc:
                return Failed("invalid_url", str(exc), True)
            except PrivateAddressError as exc:
                return Failed("private_host", str(exc), False)
            rules = await self._rules_of(url)
            if not isinstance(rules, Rules):
                return rules
            if not rules.allow(url):
                return Failed("robots", f"robots.txt of {url.host} forbids it", True)
            result = await self._request(url, self._max_bytes)
            if not isinstance(result, URL):
                return result
            text = str(result)
        return Failed("http_error", f"more than {_MAX_REDIRECTS} redirects", True)

    async def _rules_of(self, url: URL) -> Rules | Failed | _Passing:
        """The rules of a URL's origin, fetched once; a failure that may pass is not kept."""
        origin = str(url.origin())
        task = self._rules.get(origin)
        if task is None:
            task = self._rules[origin] = asyncio.create_task(self._read_rules(url))
        rules = await asyncio.shield(task)
        if isinstance(rules, _Passing) and self._rules.get(origin) is task:
            del self._rules[origin]
        return rules

    async def _read_rules(self, url: URL) -> Rules | Failed | _Passing:
        place = url.origin().with_path("/robots.txt")
        for _ in range(_MAX_REDIRECTS + 1):
            result = await self._request(place, MAX_ROBOTS_BYTES)
            if isinstance(result, URL):
                try:
                    place = checked_url(str(result), self._is_allowed)
                except (UrlError, PrivateAddressError) as exc:
                    return Failed("robots", f"its robots.txt leads astray: {exc}", True)
                continue
            break
        else:
            return Rules()
        if isinstance(result, bytes):
            rules = Rules(result.decode("utf-8", "replace"))
            self._host(url).keep_gap(rules.crawl_delay_s)
            return rules
        if isinstance(result, Failed) and result.reason == "http_error":
            return Rules()  # a site without robots.txt allows everything
        if isinstance(result, Failed) and result.reason != "private_host":
            return Failed("robots", f"its robots.txt cannot be read: {result.what}", True)
        return result

    async def _request(self, url: URL, max_bytes: int) -> bytes | URL | Failed | _Passing:
        """One request: the file, where it redirects to, or why there is none."""
        host = self._host(url)
        try:
            async with (
                host.slot(),
                self._session.get(url, allow_redirects=False) as response,
            ):
                host.answered()
                return await _read(response, host, max_bytes)
        except HostDownError:
            return Failed("no_answer", f"{url.host} gave no answer several times", False)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            cause = getattr(exc, "os_error", exc)
            if isinstance(cause, PrivateAddressError):
                return Failed("private_host", str(cause), False)
            host.failed()
            what = str(exc) or "no answer in time"
            return _Passing(Failed("no_answer", f"{type(exc).__name__}: {what}"[:300], False))
        except ValueError as exc:  # a host or path that cannot be sent
            return Failed("invalid_url", str(exc)[:300], True)

    def _host(self, url: URL) -> Host:
        name = f"{url.host}:{url.port}"
        if name not in self._hosts:
            self._hosts[name] = Host(self._options.max_open_per_host, self._open_slots)
        return self._hosts[name]


async def _read(
    response: aiohttp.ClientResponse, host: Host, max_bytes: int
) -> bytes | URL | Failed | _Passing:
    status = response.status
    location = response.headers.get("Location")
    if status in _REDIRECTS and location:
        return response.url.join(URL(location))
    if status in PASSING:
        wait_s = retry_wait_s(0, None, response.headers.get("Retry-After"))
        if wait_s is not None and "Retry-After" in response.headers:
            host.pause(wait_s)
        return _Passing(Failed("http_error", f"HTTP status {status}", False), wait_s)
    if status != 200:
        return Failed("http_error", f"HTTP status {status}", True)
    if is_forbidden_by_tag(response.headers.getall("X-Robots-Tag", [])):
        return Failed("robots", "its X-Robots-Tag forbids use in data sets", True)
    parts: list[bytes] = []
    num_bytes = 0
    if (response.content_length or 0) > max_bytes:
        return _too_large(response.content_length or 0, max_bytes)
    async for part in response.content.iter_chunked(65_536):
        num_bytes += len(part)
        if num_bytes > max_bytes:
            return _too_large(num_bytes, max_bytes)
        parts.append(part)
    return b"".join(parts)


def _too_large(num_bytes: int, max_bytes: int) -> Failed:
    return Failed(
        "too_many_bytes", f"at least {num_bytes:,} bytes, the limit is {max_bytes:,}", True
    )
