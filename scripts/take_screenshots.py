"""Take the README's screenshots of the review app, in Chromium, on a finished demo.

    python -m scripts.take_screenshots --demo demo --output docs/images

The demo's store is copied first; what the pages do for a picture changes nothing of it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curation_app.store import ReviewStore
from curation_app.work.guidelines import Guidelines
from curation_app.work.people import Person

if TYPE_CHECKING:
    from playwright.sync_api import Page

_WIDTH_PX, _HEIGHT_PX = 1_360, 900
_SETTLE_MS, _WAIT_MS = 1_500, 60_000
_HAS_TEXT = (
    "(words) => Array.from(document.querySelectorAll('textarea')).some("
    "(area) => area.value.includes(words))"
)
_GUIDELINES = (
    "Accept a row when the positive answers the query under the instruction, the hard negative "
    "does not, and every text is natural in the row's language.\n\n"
    "Reject it when in doubt; flag it when somebody else should look."
)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: the version it is taken on, the address, and what is done before."""

    name: str
    version: str
    path: str
    prepare: Callable[["Page"], None]


def _nothing(page: "Page") -> None:
    page.wait_for_timeout(_SETTLE_MS)


def _reject(page: "Page") -> None:
    page.wait_for_selector(".ps-ready")
    page.wait_for_timeout(_SETTLE_MS)
    page.keyboard.press("r")
    page.wait_for_timeout(_SETTLE_MS // 2)


def _search(page: "Page") -> None:
    page.wait_for_function(_HAS_TEXT, arg="samples; 1 to", timeout=_WAIT_MS)
    page.get_by_label("Text, in any language").fill("музика")
    page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_timeout(_SETTLE_MS)
    page.get_by_role("tab", name="Pictures").click()
    page.wait_for_timeout(2 * _SETTLE_MS)


def _compare(page: "Page") -> None:
    page.wait_for_function(_HAS_TEXT, arg="rows added", timeout=_WAIT_MS)
    page.wait_for_timeout(_SETTLE_MS)


def _audit(page: "Page") -> None:
    page.wait_for_function(_HAS_TEXT, arg="Done", timeout=_WAIT_MS)
    page.wait_for_timeout(_SETTLE_MS)


def _next_release(page: "Page") -> None:
    page.wait_for_timeout(_SETTLE_MS)
    page.get_by_role("tab", name="Next release").click()
    page.wait_for_timeout(_SETTLE_MS)


SHOTS = (
    Shot("review", "0.2.0", "?language=ar&modality=IT-%3EIT", _nothing),
    Shot("reject", "0.2.0", "?language=fa&modality=T-%3EIT", _reject),
    Shot("coverage_page", "0.2.0", "coverage", _nothing),
    Shot("compare", "0.2.0", "compare", _compare),
    Shot("search", "0.2.0", "search", _search),
    Shot("audit", "0.1.0", "audit", _audit),
    Shot("admin", "0.1.0", "admin", _next_release),
)


@contextmanager
def running_app(version: Path, store: Path) -> Iterator[str]:
    """The app on a version; yields its address."""
    command = [sys.executable, "-m", "curation_app", "serve", "--dataset", str(version)]
    command += ["--store", str(store), "--port", "0", "--reviewer", "lead"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"},
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        try:
            if found is None:
                raise SystemExit(f"{version}: the app did not start; it says why above")
            yield found[0]
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the screenshots of the review app.")
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="a finished demo")
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "reviews.sqlite"
        for part in options.demo.glob("workspace/reviews.sqlite*"):
            shutil.copy(part, store.with_name(part.name))
        with ReviewStore(store) as reviews:
            Guidelines(reviews.database).publish(_GUIDELINES, author=Person("lead", "lead"))
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        for version in dict.fromkeys(shot.version for shot in SHOTS):
            release = options.demo / "workspace" / "releases" / version
            with running_app(release, store) as url:
                for shot in (shot for shot in SHOTS if shot.version == version):
                    page = browser.new_page(viewport={"width": _WIDTH_PX, "height": _HEIGHT_PX})
                    page.goto(url + shot.path)
                    shot.prepare(page)
                    path = options.output / f"{shot.name}.png"
                    page.screenshot(path=path)
                    page.close()
                    print(path)
        browser.close()


if __name__ == "__main__":
    main()
