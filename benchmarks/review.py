"""How fast the review app is: opening a version, and from a key to the next card, in Chromium.

    python -m benchmarks.review --output DIR [--num-rows 560000 1000000] [--num-keys 200]

Versions are made once and kept in DIR. The app is started as a user starts it: first with nothing
in its cache, until its search index is there (memory is the most it took by then), and once more
for the keys. Their times are taken in the page, from the key's event to the frame that shows the
next card with its pictures.
The floor printed beside them is the store's own commit (SQLite, `synchronous=FULL`) on the same
disk.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.large_version import make_large_version
from benchmarks.machine import describe_machine
from curation_app.store import ReviewStore
from schemas.review import ReviewEvent

_NUM_COMMITS = 200
#: A person reads a card for longer; the page takes no verdict on a card it has just painted.
_READING_MS = 250
_INDEX_TIMEOUT_S = 600

#: Milliseconds from a key to the next card, and to the frame that shows it with its pictures.
_CLOCK = """
() => {
  const id = document.querySelector("[data-slot=id]");
  window.pressKey = (key) => new Promise((resolve) => {
    const before = id.textContent, start = performance.now();
    const late = setTimeout(() => resolve(null), 10000);
    const observer = new MutationObserver(() => {
      if (id.textContent === before) return;
      observer.disconnect();
      const shown = performance.now() - start;
      const look = () => {
        const pictures = Array.from(document.querySelectorAll(".ps-picture img"));
        if (!pictures.every((img) => img.complete)) return requestAnimationFrame(look);
        clearTimeout(late);
        return requestAnimationFrame(() => resolve([shown, performance.now() - start]));
      };
      look();
    });
    observer.observe(id, { childList: true, characterData: true, subtree: true });
    document.dispatchEvent(new KeyboardEvent("keydown", { key, code: "Key" + key.toUpperCase(),
      bubbles: true, composed: true }));
  });
}
"""


class App:
    """`python -m curation_app serve` in a process of its own, and what it took to start."""

    def __init__(self, version: Path, store: Path) -> None:
        command = [sys.executable, "-m", "curation_app", "serve", "--dataset", str(version)]
        command += ["--store", str(store), "--port", "0", "--reviewer", "benchmark"]
        start = self._started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(store.parent)},
        )
        assert self._process.stdout is not None
        found = re.search(r"http://\S+", self._process.stdout.readline())
        if found is None:
            raise SystemExit("the app did not start; run the command above by hand")
        self.start_s = time.perf_counter() - start
        self.url = found[0]

    @property
    def memory_mib(self) -> float:
        """Largest resident memory so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else float("nan")

    def wait_for_index(self, cache: Path) -> float:
        """Seconds from the start until the search index is there."""
        while not list(cache.glob("polyscene/*.duckdb")):
            if time.perf_counter() - self._started > _INDEX_TIMEOUT_S:
                raise SystemExit("the search index was not there in time")
            time.sleep(0.2)
        return time.perf_counter() - self._started

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def key_times_ms(url: str, num_keys: int) -> list[tuple[float, float]]:
    """Milliseconds from a key to the next card, and until it is painted, for each key."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_selector(".ps-card:not([hidden])")
        page.evaluate(_CLOCK)
        times: list[tuple[float, float]] = []
        for _ in range(num_keys):
            page.wait_for_timeout(_READING_MS)
            took: Any = page.evaluate("() => window.pressKey('a')")
            if took is None:
                raise SystemExit("a key brought no next card within 10 s")
            times.append((took[0], took[1]))
        browser.close()
    return times


def commit_times_ms(store: Path) -> list[float]:
    """Milliseconds that storing one event takes, without page or server."""
    times: list[float] = []
    with ReviewStore(store) as reviews:
        for number in range(_NUM_COMMITS):
            event = ReviewEvent(
                event_id=f"benchmark-{number:06d}",
                ts="2026-01-01T00:00:00.000+00:00",
                reviewer="benchmark",
                dataset_version="0.1.0",
                sample_id=f"{number:024x}",
                content_hash="0" * 64,
                kind="verdict",
                verdict="accept",
            )
            start = time.perf_counter()
            reviews.append(event)
            times.append(1_000 * (time.perf_counter() - start))
    return times


def _p95(times_ms: list[float]) -> float:
    return statistics.quantiles(times_ms, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="directory for the versions")
    parser.add_argument("--num-rows", type=int, nargs="+", default=[15_000, 560_000, 1_000_000])
    parser.add_argument("--num-keys", type=int, default=200)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    print(describe_machine())
    print(
        f"{'rows':>10} {'start':>8} {'index':>8} {'memory':>9} "
        f"{'key, median':>12} {'p95':>7} {'painted':>8} {'p95':>7} {'commit':>8}"
    )
    for num_rows in options.num_rows:
        version = make_large_version(options.output / f"{num_rows}-rows", num_rows)
        place = options.output / f"{num_rows}-{os.getpid()}"
        place.mkdir()
        commits = commit_times_ms(place / "commits.sqlite")
        app = App(version, place / "reviews.sqlite")
        try:
            index_s, start_s, memory = app.wait_for_index(place), app.start_s, app.memory_mib
        finally:
            app.stop()
        app = App(version, place / "reviews.sqlite")
        try:
            times = key_times_ms(app.url, options.num_keys)
        finally:
            app.stop()
        shown, painted = ([took[part] for took in times] for part in (0, 1))
        print(
            f"{num_rows:>10,} {start_s:>6.1f} s {index_s:>6.1f} s {memory:>5,.0f} MiB "
            f"{statistics.median(shown):>9.0f} ms {_p95(shown):>4.0f} ms "
            f"{statistics.median(painted):>5.0f} ms {_p95(painted):>4.0f} ms "
            f"{statistics.median(commits):>5.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
