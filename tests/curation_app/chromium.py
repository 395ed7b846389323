"""The Chromium that browser tests drive, and what no page of the app may do in it."""

import os
import shutil
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


def is_of_leaving(error: object) -> bool:
    """Whether an error of a page is only that it was left while an answer was under way."""
    return any(said in str(error) for said in ("AbortError", "Connection errored out"))


@contextmanager
def watched(page) -> Iterator[None]:
    """Fails where a page sends a request off loopback, meets an error or opens a dialog."""
    foreign, errors = [], []

    def note(request) -> None:
        host = urlsplit(request.url).hostname
        if urlsplit(request.url).scheme in ("http", "https", "ws") and host != "127.0.0.1":
            foreign.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: is_of_leaving(error) or errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message) or dialog.dismiss())
    yield
    assert (foreign, errors) == ([], [])
