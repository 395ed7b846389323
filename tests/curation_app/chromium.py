"""The Chromium that browser tests drive, and what no page of the app may do in it."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE_MS = 30_000  # a page's first events take seconds where two workers share two cores
AS_ROOT = ["--no-sandbox"] if os.geteuid() == 0 else []
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it to run browser tests"),
]


class UnderWay:
    """A page's requests without an answer so far; leaving the page would abort them."""

    def __init__(self, page) -> None:
        self._page = page
        self._open: set = set()
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def wait(self) -> None:
        """Until there was none for half a second."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        since = time.monotonic()
        while time.monotonic() - since < 0.5:
            self._page.wait_for_timeout(50)
            if self._open:
                since = time.monotonic()
            assert time.monotonic() < deadline, [request.url for request in self._open]

    def _begin(self, request) -> None:
        if "/heartbeat/" not in request.url:  # it lasts as long as the page
            self._open.add(request)

    def _end(self, request) -> None:
        self._open.discard(request)


@contextmanager
def watched(page) -> Iterator[None]:
    """Fails where a page sends a request off loopback, meets an error or opens a dialog."""
    foreign, errors = [], []

    def note(request) -> None:
        host = urlsplit(request.url).hostname
        if urlsplit(request.url).scheme in ("http", "https", "ws") and host != "127.0.0.1":
            foreign.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message) or dialog.dismiss())
    yield
    assert (foreign, errors) == ([], [])
