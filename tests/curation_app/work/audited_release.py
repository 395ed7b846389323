"""A release large enough to draw from: three hundred rows that all differ."""

from pathlib import Path

from curation_app.data.version import VersionDataset, open_dataset
from tests.curation_app.tiny_release import (
    CELLS,
    TEXTS,
    add_image,
    draw,
    make_sample,
    write_release,
)


def audited_release(folder: Path) -> VersionDataset:
    """Five languages in six cells, ten rows of each; version 0.3.0."""
    images: dict[str, bytes] = {}
    shas = [add_image(images, draw(number, side_px=80)) for number in range(60)]
    samples = []
    for task, modality in CELLS:
        for language, texts in TEXTS.items():
            for number in range(10):
                start = (len(samples) * 7) % 57
                named = tuple(f"{text} {number}" for text in texts)
                samples.append(
                    make_sample(
                        task,
                        modality,
                        language,
                        (shas[start], shas[start + 1], shas[start + 2]),
                        (named[0], named[1], named[2]),
                        f"Find it, {number}.",
                    )
                )
    unique = {sample.id: sample for sample in samples}
    return open_dataset(str(write_release(folder, unique.values(), images, "0.3.0")))
