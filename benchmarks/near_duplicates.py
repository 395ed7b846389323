"""Near-duplicates: altered copies of photographs that are found, and other pictures joined.

python -m benchmarks.near_duplicates                 # pieces of photographs that packages ship
python -m benchmarks.near_duplicates --photos DIR    # your own
"""

# N pictures, D embedding

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.photographs import labelled
from builder.images.calibration import MISSED_COPIES, copy_similarities
from builder.images.efficientnet import EfficientNetEmbedder
from builder.images.fingerprint import look_hash
from builder.images.near_duplicates import near_duplicate_pairs
from tests.images.test_near_duplicates import ALTERATIONS, cropped

_MORE: dict[str, Callable[[Image.Image], Image.Image]] = {
    "cropped by 10 %": lambda image: cropped(image, 0.1),
    "cropped by 15 %, mirrored": lambda image: cropped(image, 0.15).transpose(
        Image.Transpose.FLIP_LEFT_RIGHT
    ),
}


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of photographs, no two alike")
    arguments = parser.parse_args()
    pictures, _ = labelled(arguments.photos)
    embedder = EfficientNetEmbedder()
    looks = np.stack([look_hash(picture) for picture in pictures])
    own_ND = _embed(embedder, pictures)
    # As for a corpus: 95 of 100 copies made for the purpose are more alike than this.
    bound = float(np.quantile(copy_similarities(pictures, embedder), MISSED_COPIES))
    table = Table(title=f"Copies found of {len(pictures)} photographs, in %")
    for name in ("altered", "look hash", "with EfficientNet too"):
        table.add_column(name, justify="left" if name == "altered" else "right")
    for name, alter in (ALTERATIONS | _MORE).items():
        altered = [alter(picture) for picture in pictures]
        seen_N = _found(looks, np.stack([look_hash(picture) for picture in altered]))
        alike_N = (own_ND * _embed(embedder, altered)).sum(axis=1) > bound
        table.add_row(name, f"{100 * seen_N.mean():.1f}", f"{100 * (seen_N | alike_N).mean():.1f}")
    pairs = set(near_duplicate_pairs(looks))
    above = {(int(a), int(b)) for a, b in zip(*np.nonzero(own_ND @ own_ND.T > bound), strict=True)}
    above = {pair for pair in above if pair[0] < pair[1]}
    num_pairs = len(pictures) * (len(pictures) - 1) / 2
    table.add_section()
    table.add_row(
        "pairs of different pictures joined",
        f"{100 * len(pairs) / num_pairs:.2f}",
        f"{100 * len(pairs | above) / num_pairs:.2f}",
    )
    console = Console(width=110)
    console.print(table)
    console.print(describe_machine(), highlight=False)


def _found(looks: NDArray[np.uint8], copies: NDArray[np.uint8]) -> NDArray[np.bool_]:
    num = len(looks)
    pairs = set(near_duplicate_pairs(np.concatenate([looks, copies]), first_new=num))
    return np.array([(place, place + num) in pairs for place in range(num)])


def _embed(embedder: EfficientNetEmbedder, pictures: list[Image.Image]) -> NDArray[np.float32]:
    size = embedder.batch_size
    starts = range(0, len(pictures), size)
    return np.concatenate([embedder.embed(pictures[start : start + size]) for start in starts])


if __name__ == "__main__":
    main()
