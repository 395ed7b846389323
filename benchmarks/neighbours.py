"""Neighbours of a large corpus: time, memory, and recall of what comparing all pairs finds.

python -m benchmarks.neighbours                      # 400,000 images, 512 numbers each
python -m benchmarks.neighbours --num-images 50000
"""

# N images, D embedding, K neighbours, Q queries

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, peak_memory_mib
from builder.images.index import ImageIndex
from builder.images.neighbours import find_neighbours
from builder.images.vectors import QUANTUM

_NUM_NEIGHBOURS = 24
_NUM_CHECKED = 500
#: Of the made-up corpus: subjects, and how far images of a subject lie from its centre. The nearest
#: neighbours of real CNN vectors of photographs have cosines of 0.5 to 0.9; so have these.
_IMAGES_PER_SUBJECT = 40
_SPREAD = 0.8
_CHUNK = 50_000


def make_vectors(num: int, size: int) -> NDArray[np.int16]:
    """Vectors in subjects, subjects in themes, in random order; shape (N, D)."""
    random = np.random.default_rng(0)
    themes = random.normal(size=(200, size)).astype(np.float32)
    num_subjects = max(1, num // _IMAGES_PER_SUBJECT)
    theme_of = random.integers(0, len(themes), num_subjects)
    subjects = themes[theme_of] + random.normal(size=(num_subjects, size)).astype(np.float32)
    vectors_ND = np.empty((num, size), dtype=np.int16)
    for start in range(0, num, _CHUNK):
        count = min(_CHUNK, num - start)
        chosen = subjects[random.integers(0, num_subjects, count)]
        near = chosen + _SPREAD * random.normal(size=(count, size)).astype(np.float32)
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        vectors_ND[start : start + count] = np.rint(near * QUANTUM)
    return vectors_ND


def exact_neighbours(vectors_ND: NDArray[np.int16], queries: NDArray[np.int64]) -> list[set[int]]:
    """The same by comparing each query with all."""
    best: list[list[tuple[float, int]]] = [[] for _ in queries]
    given = vectors_ND[queries].astype(np.float32)
    for start in range(0, len(vectors_ND), _CHUNK):
        similar = given @ vectors_ND[start : start + _CHUNK].astype(np.float32).T
        for row, query in enumerate(queries):
            top = np.argpartition(-similar[row], _NUM_NEIGHBOURS + 1)[: _NUM_NEIGHBOURS + 1]
            best[row] += [(-float(similar[row, at]), start + int(at)) for at in top]
            best[row] = [b for b in sorted(best[row]) if b[1] != query][:_NUM_NEIGHBOURS]
    return [{place for _, place in row} for row in best]


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-images", type=int, default=400_000)
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()
    num = arguments.num_images
    vectors_ND = make_vectors(num, arguments.size)
    index = ImageIndex(
        tuple(f"{number:064x}" for number in range(num)),
        np.arange(num, dtype=np.int32),
        np.zeros(num, dtype=np.bool_),
        np.zeros(num, dtype=np.int32),
        (None,),
        1.0,
        1.0,
        "benchmark",
    )
    with tempfile.TemporaryDirectory() as directory:
        started, cpu_started = time.perf_counter(), time.process_time()
        of_NK = find_neighbours(vectors_ND, index, (-1.0, 1.0), _NUM_NEIGHBOURS, Path(directory))
        seconds = time.perf_counter() - started
        cpu_s = time.process_time() - cpu_started
    queries = np.random.default_rng(1).choice(num, min(_NUM_CHECKED, num), replace=False)
    started, cpu_started = time.perf_counter(), time.process_time()
    exact = exact_neighbours(vectors_ND, queries)
    whole = num / len(queries)
    exact_s = (time.perf_counter() - started) * whole
    exact_cpu_s = (time.process_time() - cpu_started) * whole
    found = [set(of_NK[query].tolist()) for query in queries]
    recall = np.mean([len(a & b) / len(a) for a, b in zip(exact, found, strict=True)])
    table = Table(title=f"{_NUM_NEIGHBOURS} neighbours of {num:,} images, {arguments.size} numbers")
    for name in ("how", "seconds", "CPU seconds", "recall"):
        table.add_column(name, justify="left" if name == "how" else "right")
    table.add_row("inverted index", f"{seconds:,.0f}", f"{cpu_s:,.0f}", f"{recall:.3f}")
    estimated = f"all pairs (from {len(queries)} images)"
    table.add_row(estimated, f"{exact_s:,.0f}", f"{exact_cpu_s:,.0f}", "1.000")
    console = Console()
    console.print(table)
    console.print(
        f"Peak memory {peak_memory_mib():,.0f} MiB. {describe_machine()}", highlight=False
    )


if __name__ == "__main__":
    main()
