"""Resident memory while 100,000 images are added and hashed; prints a table.

    python -m benchmarks.images_memory [--num-images 100000]

What a process keeps of each image (its hash, its group) may grow; the pictures may not.
"""

import argparse
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.generation_memory import resident_mb
from benchmarks.machine import describe_machine
from builder.config import ImagesConfig
from builder.images.adding import add_images
from builder.images.sources import Candidate
from builder.images.store import ImageStore

_NUM_MARKS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-images", type=int, default=100_000)
    num = parser.parse_args().num_images
    marks = [num * part // _NUM_MARKS for part in range(1, _NUM_MARKS + 1)]
    table = Table("images added", "resident MiB")
    done = 0

    def look(num_more: int) -> None:
        nonlocal done
        done += num_more
        while marks and done >= marks[0]:
            table.add_row(f"{marks.pop(0):,}", f"{resident_mb():.0f}")

    with (
        tempfile.TemporaryDirectory() as directory,
        ImageStore(Path(directory), ImagesConfig()) as store,
    ):
        add_images(store, _pictures(num), licence="mit", on_progress=look)
    console = Console()
    console.print(table)
    console.print(describe_machine(), highlight=False)


def _pictures(num: int) -> Iterator[Candidate]:
    random = np.random.default_rng(0)
    for number in range(num):
        pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((256, 192), Image.Resampling.BICUBIC)
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=80)
        yield Candidate(f"{number}.jpg", buffer.getvalue(), f"{number}.jpg")


if __name__ == "__main__":
    main()
