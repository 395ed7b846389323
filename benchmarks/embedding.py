"""Embedding photographs, files to vectors, against the bare model on ready tensors.

    python -m benchmarks.embedding [--num-images 512] [--repeats 3]

The bare model's forward pass is timed in three ways, batches of 8 on one thread for each core and
batches of 8 and 32 over all cores; the fastest is what ours is measured against. Ours reads the
files from the store, decodes, scales and embeds. All alternate; the best of the repeats counts. CPU
seconds tell more than seconds where other programs run.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.ray_engine import make_photos
from builder.config import ImagesConfig
from builder.images.adding import add_images
from builder.images.efficientnet import EfficientNetEmbedder
from builder.images.sources import Candidate
from builder.images.store import ImageStore
from builder.images.vectors import embed_files

_SIDE_PX = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    num, num_cores = options.num_images, os.cpu_count() or 1
    embedder = EfficientNetEmbedder()
    network: Any = embedder._network  # pyright: ignore[reportPrivateUsage]
    with tempfile.TemporaryDirectory() as directory:
        photos = Path(directory) / "photos"
        photos.mkdir()
        make_photos(photos, num)
        files = sorted(photos.iterdir())
        with ImageStore(Path(directory) / "images", ImagesConfig()) as store:
            found = [Candidate(path.name, path.read_bytes(), path.name) for path in files]
            add_images(store, found, licence="mit")
            names = [record.sha256 for record in store.records()]
            runs: dict[str, Callable[[], object]] = {
                f"bare, 8 a batch, {num_cores} threads of one core": lambda: _bare_apart(
                    network, num, 8, num_cores
                ),
                f"bare, 8 a batch over {num_cores} cores": lambda: _bare(network, num, 8),
                f"bare, 32 a batch over {num_cores} cores": lambda: _bare(network, num, 32),
                "polyscene, file to vector": lambda: embed_files(
                    lambda name: store.read(name).data, names, embedder
                ),
            }
            best = _best(runs, options.repeats)
    table = Table("what", "images a second", "of the best bare", "CPU ms an image", "of the best")
    bare_s, bare_cpu_s = (
        min(found[part] for name, found in best.items() if name.startswith("bare"))
        for part in (0, 1)
    )
    for name, (seconds, cpu_s) in best.items():
        table.add_row(
            *(name, f"{num / seconds:,.1f}", f"{bare_s / seconds:.2f}"),
            *(f"{1000 * cpu_s / num:.1f}", f"{bare_cpu_s / cpu_s:.2f}"),
        )
    console = Console()
    console.print(table)
    console.print(f"{num} photographs of 500 x 375 px. {describe_machine()}", highlight=False)


def _best(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Fewest seconds, and fewest CPU seconds over all threads, of each."""
    best = dict.fromkeys(runs, (float("inf"), float("inf")))
    for _ in range(repeats):
        for name, run in runs.items():
            begin, cpu_begin = time.perf_counter(), time.process_time()
            run()
            took = time.perf_counter() - begin, time.process_time() - cpu_begin
            best[name] = min(best[name][0], took[0]), min(best[name][1], took[1])
    return best


def _bare(network: Any, num: int, batch_size: int) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    batch = _batch(batch_size)
    with torch.inference_mode():
        for _ in range(num // batch_size):
            network.extract_features(batch)


def _bare_apart(network: Any, num: int, batch_size: int, num_threads: int) -> None:
    """Every thread a batch of its own, as ours."""
    batch = _batch(batch_size)

    def forward(_: int) -> None:
        with torch.inference_mode():
            network.extract_features(batch)

    with ThreadPoolExecutor(num_threads, initializer=lambda: torch.set_num_threads(1)) as pool:
        list(pool.map(forward, range(num // batch_size)))


def _batch(batch_size: int) -> torch.Tensor:
    made = torch.rand(batch_size, 3, _SIDE_PX, _SIDE_PX)
    return made.to(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
