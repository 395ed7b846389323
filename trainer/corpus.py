"""Published rows in memory: texts as they are, images by the sha256 of their bytes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.vocabulary import CONFIG_OF_TASK
from trainer.errors import ReleaseError
from trainer.release import find_release

_COLUMNS = [
    "id",
    "language",
    "modality",
    "query_text",
    "query_image",
    "positive_text",
    "positive_image",
    "negative_texts",
    "negative_images",
]


@dataclass(frozen=True, slots=True)
class Row:
    """A published row whose images are named by the sha256 of their bytes."""

    id: str
    language: str
    modality: str
    query_text: str | None
    query_image: str | None
    positive_text: str | None
    positive_image: str | None
    negative_texts: tuple[str, ...]
    negative_images: tuple[str, ...]


@dataclass(slots=True)
class Corpus:
    """One split of a version.

    Args:
        dataset: Where it came from, for messages.
        split: "train" or "validation".
        rows: Rows of every task config, in published order.
        images: Bytes of every image, by sha256.
        groups: Image group by sha256; empty where the version has no `provenance`.
    """

    dataset: str
    split: str
    rows: list[Row] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def group_of(self, image: str) -> str:
        """Group of an image; an image without one is a group of its own."""
        return self.groups.get(image, image)


def load_corpus(dataset: str, revision: str | None, split: str) -> Corpus:
    """Reads one split of every task config of a published version.

    Raises:
        ReleaseError: No such version, its configs or columns are not those of a release, or
            a shard is damaged.
        OSError: No room for the copy that `datasets` makes.
    """
    directory = str(find_release(dataset, revision))
    available = _config_names(directory, dataset)
    corpus = Corpus(dataset, split)
    for config in CONFIG_OF_TASK.values():
        if config in available:
            for record in _records(directory, dataset, config, split, _COLUMNS):
                corpus.rows.append(_row(record, corpus.images))
    if not corpus.rows:
        raise ReleaseError(
            dataset,
            f"none of the configs {', '.join(CONFIG_OF_TASK.values())} has rows in split "
            f'"{split}"; it has {", ".join(available) or "no config"}',
            "Give a published polyscene version.",
            revision,
        )
    if "provenance" in available:
        for record in _records(directory, dataset, "provenance", split, ["images"]):
            for image in record["images"] or ():
                corpus.groups[image["sha256"]] = image["group"]
    return corpus


def _config_names(directory: str, dataset: str) -> list[str]:
    from datasets import get_dataset_config_names
    from datasets.exceptions import DatasetNotFoundError

    try:
        return list(get_dataset_config_names(directory))
    except (DatasetNotFoundError, FileNotFoundError, ValueError) as exc:
        raise ReleaseError(
            dataset,
            f"not a dataset directory ({type(exc).__name__})",
            "Give a release directory: README.md and Parquet files.",
        ) from exc


def _records(
    directory: str, dataset: str, config: str, split: str, columns: list[str]
) -> Iterator[dict[str, Any]]:
    """Records of a config with images as stored, undecoded; none where it lacks the split."""
    from datasets import get_dataset_split_names, load_dataset
    from datasets.exceptions import DatasetGenerationError
    from datasets.inspect import SplitsNotFoundError

    try:
        if split not in get_dataset_split_names(directory, config):
            return
        table = load_dataset(directory, config, split=split)
    except (DatasetGenerationError, SplitsNotFoundError) as exc:
        raise _unreadable(Path(directory), dataset, config, exc) from exc
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise ReleaseError(
            dataset,
            f'config "{config}" lacks the columns {", ".join(missing)}',
            "Give a published polyscene version.",
        )
    batches: Any = table.select_columns(columns).with_format("arrow").iter(batch_size=256)
    for batch in batches:
        yield from batch.to_pylist()


def _unreadable(directory: Path, dataset: str, config: str, exc: Exception) -> Exception:
    """What to say when `datasets` cannot read a config, which names no file itself."""
    for path in sorted(directory.rglob("*.parquet")):
        try:
            with pq.ParquetFile(path) as file:
                for _ in file.iter_batches():
                    pass
        except (OSError, pa.ArrowException):
            return ReleaseError(
                dataset,
                f"{path.relative_to(directory)} is damaged or no Parquet file",
                "Fetch or release the version again.",
            )
    cause = exc.__cause__
    if isinstance(cause, OSError):  # its cache: `datasets` keeps a copy of what it reads
        from datasets.config import HF_DATASETS_CACHE

        cause.filename = cause.filename or str(HF_DATASETS_CACHE)
        return cause
    return ReleaseError(
        dataset, f'config "{config}" cannot be read ({cause or exc})', "Release the version again."
    )


def _row(record: dict[str, Any], images: dict[str, bytes]) -> Row:
    def keep(image: dict[str, Any] | None) -> str | None:
        if image is None or image["bytes"] is None:
            return None
        sha256 = hashlib.sha256(image["bytes"]).hexdigest()
        images[sha256] = image["bytes"]
        return sha256

    negatives = [keep(image) for image in record["negative_images"] or ()]
    return Row(
        id=record["id"],
        language=record["language"],
        modality=record["modality"],
        query_text=record["query_text"],
        query_image=keep(record["query_image"]),
        positive_text=record["positive_text"],
        positive_image=keep(record["positive_image"]),
        negative_texts=tuple(text for text in record["negative_texts"] or () if text is not None),
        negative_images=tuple(sha256 for sha256 in negatives if sha256 is not None),
    )
