"""Plans and closes a target of 560,000 samples over 93 languages; prints what it took.

    python -m benchmarks.planning [--num-samples 560000] [--num-images 50000] [--row-bytes 3000]

The images are noise; replies are drawn: 4 % are dropped, 30 % in five languages. Every round is
planned, its jobs are walked one by one, their outcomes go into a ledger, and what is missing is
planned again until the shares are met. Making the images, embedding them and filling the ledger
belong to other stages and are shown, but not counted.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, peak_memory_mib
from builder.balance import balance_of, print_balance, surplus_jobs
from builder.config import BuildConfig, ImagesConfig
from builder.images.adding import add_images
from builder.images.embedders import load_embedder
from builder.images.index import index_images
from builder.images.neighbours import neighbours_of
from builder.images.sources import Candidate
from builder.images.store import ImageStore
from builder.images.vectors import embed_images
from builder.ledger.ledger import Ledger
from builder.plan import Plan, plan_round

Result = TypeVar("Result")
_BIASED = frozenset({"am", "ar", "my", "si", "zh"})
_DROP_PERCENT, _BIASED_DROP_PERCENT = 4, 30


class Stopwatch:
    """Rows of the printed table; those not counted stand in brackets."""

    def __init__(self, title: str) -> None:
        self.total_s = self.total_cpu_s = 0.0
        self.table = Table(title=title, title_justify="left")
        for name in ("step", "jobs", "seconds", "CPU seconds"):
            self.table.add_column(name, justify="left" if name == "step" else "right")

    def time(self, step: str, action: Callable[[], Result], *, counted: bool = True) -> Result:
        """Runs an action and adds its row; a result with a length gives the number of jobs."""
        begin, cpu_begin = time.perf_counter(), time.process_time()
        result = action()
        seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu_begin
        self.total_s += seconds if counted else 0
        self.total_cpu_s += cpu_s if counted else 0
        jobs = f"{len(result):,}" if isinstance(result, (Plan, list)) else ""
        shown = [f"{value:.2f}" if counted else f"({value:.2f})" for value in (seconds, cpu_s)]
        self.table.add_row(step, jobs, *shown)
        return result


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-samples", type=int, default=560_000)
    parser.add_argument("--num-images", type=int, default=50_000)
    parser.add_argument("--row-bytes", type=int, default=3_000)
    arguments = parser.parse_args()
    console = Console()
    config = BuildConfig(
        name="benchmark",
        num_samples=arguments.num_samples,
        languages="mme5",
        images=ImagesConfig(embedder="descriptor"),
    )
    watch = Stopwatch(f"Planning and closing {arguments.num_samples:,} samples in 93 languages")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.sqlite"
        with ImageStore(Path(directory) / "images") as store, Ledger(path, create=True) as ledger:
            _prepare_images(store, arguments.num_images, config, watch)
            _close_loop(config, store, ledger, arguments.row_bytes, watch)
            balance = watch.time("balance: read and query", lambda: balance_of(config, ledger))
    watch.table.add_section()
    total = (f"{watch.total_s:.2f}", f"{watch.total_cpu_s:.2f}")
    watch.table.add_row("all that is counted", "", *total)
    console.print(watch.table)
    print_balance(balance, console)
    console.print(
        f"Peak memory {peak_memory_mib():,.0f} MiB. {describe_machine()}", highlight=False
    )


def _close_loop(
    config: BuildConfig, store: ImageStore, ledger: Ledger, row_bytes: int, watch: Stopwatch
) -> None:
    for number in range(config.max_rounds):
        accepted, tried = ledger.accepted_counts(), ledger.tried_counts()
        plan = watch.time(
            f"round {number}: plan",
            lambda: plan_round(config, store, number, accepted, tried),  # noqa: B023
        )
        if not len(plan):
            return
        watch.time(
            f"round {number}: walk the jobs",
            lambda: sum(1 for _ in plan.jobs()),  # noqa: B023
        )
        watch.time(
            f"round {number}: replies into the ledger",
            lambda: _reply(plan, ledger, row_bytes),  # noqa: B023
            counted=False,
        )
        surplus = watch.time(f"round {number}: surplus", lambda: surplus_jobs(config, ledger))
        ledger.drop(dict.fromkeys(surplus, "surplus"))


def _reply(plan: Plan, ledger: Ledger, row_bytes: int) -> None:
    """Draws an outcome for every job and writes it as the engine would."""
    chance = np.random.default_rng(plan.round).integers(0, 100, size=len(plan))
    rows = (
        (
            job.id,
            job.round,
            job.index,
            job.cell.task_type,
            job.cell.modality,
            job.language,
            None if dropped else job.id,
            "drawn" if dropped else None,
            None,
            bytes(row_bytes),
        )
        for job in plan.jobs()
        for dropped in (chance[job.index] < _drop_percent(job.language),)
    )
    with _transaction(ledger):
        while batch := list(islice(rows, 10_000)):
            ledger.db.executemany(
                "INSERT INTO outcome (job_id, round, idx, task_type, modality, language, "
                "sample_id, reason, request_hash, sample) VALUES (?,?,?,?,?,?,?,?,?,?)",
                batch,
            )


def _drop_percent(language: str) -> int:
    return _BIASED_DROP_PERCENT if language in _BIASED else _DROP_PERCENT


@contextmanager
def _transaction(ledger: Ledger) -> Iterator[None]:
    ledger.db.execute("BEGIN")
    yield
    ledger.db.execute("COMMIT")


def _prepare_images(
    store: ImageStore, num_images: int, config: BuildConfig, watch: Stopwatch
) -> None:
    random = np.random.default_rng(0)

    def files() -> Iterator[Candidate]:
        for number in range(num_images):
            pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            buffer = BytesIO()
            image = Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC)
            image.save(buffer, "JPEG", quality=80)
            yield Candidate(f"{number}.jpg", buffer.getvalue(), f"{number}.jpg")

    title = f"{num_images:,} images into the store"
    watch.time(title, lambda: add_images(store, files()), counted=False)
    index = index_images(store, config.images.validation_share)
    embedder = load_embedder(config.images.embedder, store)
    watch.time("embed them", lambda: embed_images(store, index.sha256, embedder), counted=False)
    watch.time("find neighbours", lambda: neighbours_of(store, index, config.images))


if __name__ == "__main__":
    main()
