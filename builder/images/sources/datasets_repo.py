"""A `datasets` repository on the Hub, or a directory that `save_to_disk` wrote."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from builder.images.sources.candidate import Candidate, RefusedFile
from builder.images.sources.facts import is_fact_key
from builder.images.sources.image_columns import may_hold_images, usual_rank
from builder.images.sources.tables import TableError, entries_of_row, one_line


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
        TableError: The dataset cannot be loaded, has no image column, or breaks off.
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
        raise TableError(
            f"{name}: cannot be loaded as a dataset ({type(exc).__name__}: {one_line(exc)}). "
            "Name a folder, a dataset on the Hub, or use --kind."
        ) from exc
    features = dict(rows.features or {})
    chosen = column or _image_column(features)
    if chosen is None or (features and chosen not in features):
        raise TableError(
            f"{name}: no image column among {', '.join(features)}. Name it with --image-column."
        )
    # Only what is used is read; images stay the bytes of their files.
    wanted = [key for key in features if key == chosen or is_fact_key(key)]
    rows = rows if isinstance(rows, datasets.IterableDataset) else rows.to_iterable_dataset()
    rows = rows.select_columns(wanted).decode(False) if features else rows
    index = 0
    try:
        for row in rows:
            inside = _with_bytes(row.get(chosen), name, max_bytes)
            yield from entries_of_row(
                {**row, chosen: inside}, f"{name}/{split}#{index}", chosen, max_bytes
            )
            index += 1
    except Exception as exc:  # as above
        raise TableError(
            f"{name}: broke off after {index:,} rows ({type(exc).__name__}: {one_line(exc)}). "
            "The images before that point are kept; run the same command again for the rest."
        ) from exc


def _image_column(features: Mapping[str, Any]) -> str | None:
    """The first column of images or lists of images, else of bytes under a usual name."""
    import datasets

    images = [key for key, kind in features.items() if _holds(kind, datasets.Image)]
    if images:
        return images[0]
    stored = [key for key, kind in features.items() if may_hold_images(_arrow_type(kind))]
    return min(stored, key=usual_rank, default=None)


def _holds(feature: Any, kind: type) -> bool:
    """Whether a feature is of a kind, or a list of such."""
    if isinstance(feature, list) and feature:
        return _holds(feature[0], kind)
    inner = getattr(feature, "feature", None)
    return isinstance(feature, kind) or (inner is not None and _holds(inner, kind))


def _arrow_type(feature: Any) -> pa.DataType:
    from datasets.features.features import get_nested_type

    return get_nested_type(feature)


def _with_bytes(value: Any, name: str, max_bytes: int) -> Any:
    """The value with the bytes of images that lie as files in the dataset's repository."""
    if isinstance(value, list | tuple):
        return [_with_bytes(part, name, max_bytes) for part in value]
    if not isinstance(value, Mapping) or value.get("bytes") is not None:
        return value
    path = value.get("path")
    if not isinstance(path, str) or not _is_inside(path, name):
        return value
    import fsspec

    with fsspec.open(path, "rb") as file:
        return {"bytes": file.read(max_bytes + 1)}  # pyright: ignore[reportAttributeAccessIssue]


def _is_inside(path: str, name: str) -> bool:
    """Whether a path leads into the dataset itself: no row may name a file of this machine."""
    innermost = path.rpartition("::")[2]
    return innermost.startswith((f"hf://datasets/{name}@", f"hf://datasets/{name}/")) and (
        ".." not in innermost.split("/") and path.count("::") <= 1
    )
