"""A `datasets` repository on the Hub, or a directory that `save_to_disk` wrote."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder.images.sources.candidate import Candidate, RefusedFile
from builder.images.sources.tables import TableError, candidate_of_row


def read_dataset(
    name: str,
    max_bytes: int,
    *,
    config: str | None = None,
    split: str = "train",
    column: str | None = None,
) -> Iterator[Candidate | RefusedFile]:
    """Yields the images of a dataset; one on the Hub is streamed.

    Args:
        name: `owner/name`, or a directory.
        max_bytes: Largest image to take.
        config: Config of the dataset, if it has several.
        split: The split.
        column: Image column; the first one by default.

    Raises:
        TableError: The dataset cannot be loaded or has no image column.
    """
    import datasets

    try:
        if Path(name).is_dir():
            rows: Any = datasets.load_from_disk(name)
            if isinstance(rows, datasets.DatasetDict):
                rows = rows[split]
        else:
            rows = datasets.load_dataset(name, config, split=split, streaming=True)
    except Exception as exc:  # the library raises its own, the Hub's and the network's errors
        problem = " ".join(str(exc).split())
        raise TableError(
            f"{name}: cannot be loaded as a dataset ({type(exc).__name__}: {problem}). "
            "Name a folder, a dataset on the Hub, or use --kind."
        ) from exc
    features = rows.features or {}
    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    chosen = column or (images[0] if images else None)
    if chosen is None or (features and chosen not in features):
        raise TableError(
            f"{name}: no image column among {', '.join(features)}. Name it with --image-column."
        )
    if chosen in images:
        rows = rows.cast_column(chosen, datasets.Image(decode=False))
    for index, row in enumerate(rows):
        yield candidate_of_row(row, f"{name}/{split}#{index}", chosen, max_bytes)
