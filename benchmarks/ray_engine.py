"""Images added, embedded and compared by threads of one process, and by the workers of a Ray.

python -m benchmarks.ray_engine                     # 2,000 made photographs
python -m benchmarks.ray_engine --num-images 400 --num-embedded 64 --num-vectors 6000
python -m benchmarks.ray_engine --per-image         # what docs/cluster.md plans with
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.neighbours import make_vectors
from builder.config import ImagesConfig
from builder.engines import Engine, LocalEngine
from builder.engines.ray_engine import RayEngine
from builder.images.adding import add_images
from builder.images.efficientnet import EfficientNetEmbedder
from builder.images.fingerprint import look_hash
from builder.images.index import ImageIndex
from builder.images.neighbours import find_neighbours
from builder.images.sources import open_source
from builder.images.staging import ReadOptions, add_staged, listing, open_units
from builder.images.store import ImageStore
from builder.images.vectors import decode, embed_files, embed_images
from builder.images.vetting import vet

_LIMITS = ImagesConfig()
_SIZE = (500, 375)
_FILES_PER_UNIT = 64


def make_photos(folder: Path, num: int) -> int:
    """Writes JPEGs with the size and detail of small photographs; returns their bytes."""
    random = np.random.default_rng(0)
    num_bytes = 0
    for number in range(num):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        picture = np.asarray(coarse.resize(_SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = random.normal(0, 8, picture.shape)
        shown = Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8))
        buffer = BytesIO()
        shown.save(buffer, "JPEG", quality=85)
        (folder / f"{number:06}.jpg").write_bytes(buffer.getvalue())
        num_bytes += buffer.tell()
    return num_bytes


class Report:
    """Rows of the table; equal work must have equal results."""

    def __init__(self, table: Table, num_embedded: int) -> None:
        self._table = table
        self.num_embedded = num_embedded
        self._digests: dict[str, str] = {}
        self.vectors: dict[str, np.ndarray] = {}

    def add(self, work: str, how: str, num: int, spent: "Spent", digest: str) -> None:
        """Adds a row.

        Raises:
            SystemExit: The result is not that of the same work before.
        """
        if self._digests.setdefault(work, digest) != digest:
            raise SystemExit(f"{work}: {how} found something else than the row before it")
        cpu = "-" if how.startswith("Ray") else f"{1_000 * spent.cpu_s / num:.2f}"
        seconds, rate = f"{spent.wall_s:.1f}", f"{num / spent.wall_s:,.0f}"
        self._table.add_row(work, how, f"{num:,}", seconds, rate, cpu)


def digest_of(store: ImageStore) -> str:
    """A digest of all that a store knows of its images."""
    return hashlib.sha256(repr(list(store.records())).encode()).hexdigest()


@contextmanager
def fresh_store() -> Iterator[ImageStore]:
    with tempfile.TemporaryDirectory() as folder, ImageStore(Path(folder)) as store:
        yield store


@dataclass(frozen=True, slots=True)
class Spent:
    """What work took: by the clock, and of this process's cores."""

    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object]) -> Spent:
    started_s, cpu_s = time.monotonic(), time.process_time()
    work()
    return Spent(time.monotonic() - started_s, time.process_time() - cpu_s)


def measure_here(report: Report, photos: Path, index: ImageIndex, vectors: np.ndarray) -> None:
    """The loop, and the threads that `--engine local` uses."""
    files = sorted(photos.iterdir())

    def check_all() -> None:
        for file in files:
            vet(file.read_bytes(), _LIMITS)

    report.add("check and hash", "one thread", len(files), timed(check_all), "")
    with fresh_store() as store:
        source = open_source(str(photos), _LIMITS.max_image_bytes)
        spent = timed(lambda: add_images(store, source.files))
        report.add("add", "local", len(files), spent, digest_of(store))
        measure_embedding(report, store, "local", None)
    measure_neighbours(report, index, vectors, "local", None)


def measure_ray(
    report: Report, photos: Path, index: ImageIndex, vectors: np.ndarray, num_workers: int
) -> float:
    """The same by workers, once they have started; returns the seconds that takes."""
    started_s = time.monotonic()
    how = f"Ray, {num_workers} worker{'s' if num_workers > 1 else ''}"
    with RayEngine(num_workers=num_workers, object_store_bytes=512 * 2**20) as engine:
        warm = range(2 * num_workers)
        list(engine.map_chunks(lambda _, n: __import__("builder.images.staging") and n, warm))
        start_s = time.monotonic() - started_s
        with fresh_store() as store:
            units = open_units(str(photos), "folder")
            assert units is not None
            options = ReadOptions(_LIMITS)
            spent = timed(lambda: add_staged(store, units, engine, options))
            report.add("add", how, len(store), spent, digest_of(store))
            measure_embedding(report, store, how, engine)
        measure_neighbours(report, index, vectors, how, engine)
    return start_s


def measure_embedding(report: Report, store: ImageStore, how: str, engine: Engine | None) -> None:
    embedder = EfficientNetEmbedder()
    names = [record.name for record in store.records()][: report.num_embedded]
    spent = timed(lambda: embed_images(store, names, embedder, engine=engine))
    vectors_ND = embed_images(store, names, embedder)
    # One thread adds in another order than several, which rounds a few numbers otherwise.
    digest = _digest(vectors_ND)
    report.vectors["local" if engine is None else "ray"] = vectors_ND
    report.add("embed" if engine is None else "embed ", how, len(names), spent, digest)


def measure_neighbours(
    report: Report, index: ImageIndex, vectors: np.ndarray, how: str, engine: Engine | None
) -> None:
    found: list[np.ndarray] = []
    spent = timed(
        lambda: found.append(find_neighbours(vectors, index, (0.1, 0.95), 24, engine=engine))
    )
    report.add("neighbours", how, len(index), spent, _digest(found[0]))


def measure_per_image(photos: Path, num_embedded: int, console: Console) -> None:
    """Prints CPU time and bytes per image, with one thread."""
    import torch

    torch.set_num_threads(1)
    files = [file.read_bytes() for file in sorted(photos.iterdir())]
    embedder, options = EfficientNetEmbedder(), ReadOptions(_LIMITS)
    embedder.embed([decode(files[0])])

    def show(what: str, num: int, work: Callable[[], object]) -> None:
        console.print(f"{what}: {1_000 * timed(work).cpu_s / num:.2f} ms CPU per image")

    show("check, normal form, hashes", len(files), lambda: [vet(data, _LIMITS) for data in files])
    show("look hash", len(files), lambda: [look_hash(decode(data)) for data in files])
    few = files[:num_embedded]
    show("embed", len(few), lambda: embed_files(bytes, few, embedder, num_threads=1))
    with tempfile.TemporaryDirectory() as name, LocalEngine(1) as engine:
        folder = Path(name)

        def add() -> None:
            with ImageStore(folder / "store", _LIMITS) as store:
                units = open_units(str(photos), "folder")
                assert units is not None
                add_staged(store, units, engine, options, staging=str(folder / "shards"))

        show("a worker's and the driver's part of add", len(files), add)
        num_bytes = {
            "shards": sum(path.stat().st_size for path in (folder / "shards").iterdir()),
            "database": sum(path.stat().st_size for path in (folder / "store").glob("*.sqlite*")),
        }
        for path in (folder / "store").glob("*.sqlite*"):
            path.unlink()
        show("the driver's part", len(files), add)
    for what, total in num_bytes.items():
        console.print(f"{what}: {total / len(files):,.0f} bytes per image")


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def make_index(num: int) -> ImageIndex:
    """An index of images that are each a group, all in one split."""
    nothing = np.zeros(num, dtype=np.int32)
    names = tuple(f"{number:064x}" for number in range(num))
    groups = np.arange(num, dtype=np.int32)
    return ImageIndex(names, groups, nothing > 0, nothing, (None,), 0, 0, "benchmark")


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-images", type=int, default=2_000)
    parser.add_argument("--num-embedded", type=int, default=1_000)
    parser.add_argument("--num-vectors", type=int, default=20_000)
    parser.add_argument("--per-image", action="store_true")
    arguments = parser.parse_args()
    listing.FILES_PER_UNIT = _FILES_PER_UNIT  # so few files would make one unit or two
    table = Table(title="Images on threads and on Ray workers")
    for column in ("work", "by", "images", "seconds", "per second", "CPU ms per image"):
        table.add_column(column, justify="left" if column in ("work", "by") else "right")
    report = Report(table, arguments.num_embedded)
    vectors = make_vectors(arguments.num_vectors, 512)
    index = make_index(arguments.num_vectors)
    starts: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder)
        num_bytes = make_photos(photos, arguments.num_images)
        if arguments.per_image:
            measure_per_image(photos, arguments.num_embedded, Console(width=100))
            return
        measure_here(report, photos, index, vectors)
        for num_workers in (1, 2, 4):
            start_s = measure_ray(report, photos, index, vectors, num_workers)
            starts.append(f"{num_workers}: {start_s:.0f} s")
    here, there = report.vectors["local"], report.vectors["ray"]
    num_other = int((here != there).sum())
    furthest = int(np.abs(here.astype(np.int32) - there).max())
    console = Console(width=100)
    console.print(table)
    console.print(
        f"{describe_machine()}. Photographs of {_SIZE[0]} x {_SIZE[1]} px, "
        f"{num_bytes / arguments.num_images / 1000:.0f} kB each; vectors of 512 numbers for "
        "neighbours. Starting Ray and its workers is not counted "
        f"({', '.join(starts)}). Rows of the same work have equal results, those of Ray among "
        f"themselves for embed; from local {num_other:,} of {here.size:,} numbers of the vectors "
        f"differ, by {furthest} of 2,048 at most, as workers have one thread each."
    )


if __name__ == "__main__":
    main()
