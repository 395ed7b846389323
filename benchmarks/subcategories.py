"""Whether chosen positives show what their query shows: by descriptor and by vision model.

python -m benchmarks.subcategories                   # pieces of photographs that packages ship
python -m benchmarks.subcategories --photos DIR      # yours; each folder holds one subcategory
"""

import argparse
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.photographs import in_other_light, labelled
from builder.config import BuildConfig
from builder.images.embedders import embedder_name
from builder.images.index import index_images
from builder.images.neighbours import neighbours_of
from builder.images.store import ImageStore
from builder.plan import plan_round


def filled_store(directory: Path, pictures: list[Image.Image], labels: list[str]) -> ImageStore:
    """A store with each picture in a group of its own, and its label as the source."""
    store = ImageStore(directory)
    with store.batch():
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            encoded = BytesIO()
            picture.save(encoded, "JPEG", quality=92)
            store.add(encoded.getvalue(), group=str(number), source=label)
    return store


def same_subcategory_rates(
    store: ImageStore, embedder: str, num_neighbours: int = 6
) -> dict[str, float]:
    """Shares of equal labels: of nearest neighbours, of positives that a plan chose, by chance.

    Args:
        store: Its images' sources are their labels.
        embedder: As a configuration names it.
        num_neighbours: Of each image, from which positives are drawn.
    """
    config = BuildConfig.model_validate(
        {
            "num_samples": 4 * len(store),
            "languages": {"en": 1},
            "task_shares": {"retrieval": 1},
            "modality_shares": {"retrieval": {"I->I": 1}},
            "images": {
                "embedder": embedder,
                "num_neighbours": num_neighbours,
                "validation_share": 0,
            },
        }
    )
    index = index_images(store, 0.0)
    label_N = np.array([store.record(name).source for name in index.sha256])
    of_NK = neighbours_of(store, index, config.images).of_NK
    has_one_N = of_NK[:, 0] >= 0
    nearest = label_N[of_NK[has_one_N, 0]] == label_N[has_one_N]
    label_of = dict(zip(index.sha256, label_N.tolist(), strict=True))
    jobs = list(plan_round(config, store, 0, {}).jobs())
    positives = [label_of[job.images[0]] == label_of[job.images[1]] for job in jobs]
    num = len(label_N)
    chance = ((label_N[:, None] == label_N).sum() - num) / (num * (num - 1))
    return {
        "nearest": float(nearest.mean()),
        "positives": float(np.mean(positives)),
        "chance": float(chance),
    }


def main() -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of one folder per subcategory")
    arguments = parser.parse_args()
    pictures, labels = labelled(arguments.photos)
    if arguments.photos is None:
        pictures = [in_other_light(picture, number) for number, picture in enumerate(pictures)]
    table = Table(title=f"Same subcategory, {len(pictures)} photographs of {len(set(labels))}")
    for name in ("embedder", "nearest neighbour", "chosen positives", "by chance"):
        table.add_column(name, justify="left" if name == "embedder" else "right")
    for name in ("descriptor", "auto"):
        with (
            tempfile.TemporaryDirectory() as directory,
            filled_store(Path(directory), pictures, labels) as store,
        ):
            rates = same_subcategory_rates(store, name)
            stands_for = embedder_name(name, store)
        said = name if name == stands_for else f"{name} ({stands_for})"
        table.add_row(said, *(f"{100 * rate:.0f} %" for rate in rates.values()))
    console = Console(width=110)
    console.print(table)
    if arguments.photos is None:
        console.print(
            "Pieces of seven photographs, each in another light, so that colours do not tell; the "
            "subcategory is what the whole photograph shows.",
            highlight=False,
        )
    console.print(describe_machine(), highlight=False)


if __name__ == "__main__":
    main()
