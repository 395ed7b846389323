"""Compares a workspace or a release with an evaluation set, and drops what a workspace shares."""

# pyright: standard, reportMissingTypeStubs=false

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq

from builder.decontaminate.index import EvaluationIndex
from builder.images.fingerprint import look_hash
from builder.images.store import ImageStore
from builder.images.vectors import decode
from builder.ledger.evaluation_sets import (
    drop_matches,
    images_of,
    remember_matches,
    samples_to_compare,
)
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from schemas.pictures import PictureError, read_picture
from schemas.versions import Version
from schemas.vocabulary import CONFIG_OF_TASK

_TEXT_FIELDS = ("query_text", "positive_text")
_IMAGE_FIELDS = ("query_image", "positive_image")
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Match:
    """A sample that is in the evaluation set: by an image at a distance, or by a text."""

    sample_id: str
    what: str
    where: str = ""
    distance: int | None = None


@dataclass(slots=True)
class Matches:
    """What was found.

    Args:
        num_samples: Samples that were compared.
        samples: Those found in the evaluation set.
        text_ids: Ids of all samples with such a text; in a workspace, also of dropped ones.
        images: Images found there, with where and at which distance.
        dropped: Samples dropped for it, by reason; a release's are only reported.
    """

    num_samples: int = 0
    samples: list[Match] = field(default_factory=list)
    text_ids: set[str] = field(default_factory=set)
    images: dict[str, tuple[str, int]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)


def find_in_workspace(
    workspace: Workspace,
    index: EvaluationIndex,
    max_distance: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Matches:
    """Kept samples of a workspace that are in the evaluation set.

    All images of the workspace are compared, since later samples may use those that none uses yet,
    and the texts of dropped samples, since some may be kept again.
    """
    with Ledger(workspace.ledger_path) as ledger, ImageStore(workspace.images_dir) as store:
        found = Matches(images=_images_in(store, index, max_distance, advance))
        for is_kept, raw in samples_to_compare(ledger):
            row = orjson.loads(raw)
            if is_kept:
                _compare(row, images_of(row), index, found)
            elif _holds_text(row, index):
                found.text_ids.add(row["id"])
    return found


def drop_from_workspace(workspace: Workspace, found: Matches) -> None:
    """Drops what was found, and keeps it out of what is made later; the samples stay on disk.

    Raises:
        WorkspaceError: A build is running.
    """
    with workspace.locked(), Ledger(workspace.ledger_path) as ledger:
        remember_matches(ledger, set(found.images), found.text_ids)
        found.dropped = drop_matches(ledger)


def find_in_release(
    version: Version,
    index: EvaluationIndex,
    max_distance: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Matches:
    """Rows of a release that are in the evaluation set; a release never changes."""
    found = Matches()
    for config in dict.fromkeys(CONFIG_OF_TASK.values()):
        for shard in version.shards(config):
            with pq.ParquetFile(version.path(shard)) as file:
                for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                    rows = batch.to_pylist()
                    names = [_named_images(row) for row in rows]
                    _match_images(
                        {k: v for each in names for k, v in each.items()},
                        index,
                        max_distance,
                        found,
                    )
                    for row, images in zip(rows, names, strict=True):
                        _compare(row, list(images), index, found)
                    advance(len(rows))
    return found


def _compare(
    row: dict[str, Any], images: Iterable[object], index: EvaluationIndex, found: Matches
) -> None:
    found.num_samples += 1
    image = next((str(name) for name in images if name in found.images), None)
    if image is not None:
        found.samples.append(Match(row["id"], "image", *found.images[image]))
        return
    if _holds_text(row, index):
        found.samples.append(Match(row["id"], "text"))
        found.text_ids.add(row["id"])


def _holds_text(row: dict[str, Any], index: EvaluationIndex) -> bool:
    texts = [row[name] for name in _TEXT_FIELDS] + list(row["negative_texts"])
    return any(text and index.holds_text(text) for text in texts)


def _images_in(
    store: ImageStore, index: EvaluationIndex, max_distance: int, advance: Callable[[int], None]
) -> dict[str, tuple[str, int]]:
    """Images of the store that are in the evaluation set; look hashes it has are used again."""
    if not len(index.look_EB):
        return {}
    known = store.looks()
    names: list[str] = []
    looks: list[np.ndarray] = []
    for record in store.records():
        stored = known.get(record.name)
        look = (
            np.frombuffer(stored, np.uint8)
            if stored is not None
            else look_hash(decode(store.read(record.name).data))
        )
        names.append(record.name)
        looks.append(look)
        advance(1)
    if not looks:
        return {}
    near = index.matching_images(np.stack(looks), max_distance)
    return {names[place]: where for place, where in near.items()}


def _named_images(row: dict[str, Any]) -> dict[str, bytes]:
    """Bytes of a row's images under the names they are published with."""
    cells = [row[name] for name in _IMAGE_FIELDS] + list(row["negative_images"])
    return {str(cell["path"]): cell["bytes"] for cell in cells if cell is not None}


def _match_images(
    images: dict[str, bytes], index: EvaluationIndex, max_distance: int, found: Matches
) -> None:
    names: list[str] = []
    looks: list[np.ndarray] = []
    for name, data in _new(images, found):
        try:
            looks.append(look_hash(read_picture(data)))
        except PictureError:
            continue
        names.append(name)
    if looks:
        near = index.matching_images(np.stack(looks), max_distance)
        found.images.update((names[place], where) for place, where in near.items())


def _new(images: dict[str, bytes], found: Matches) -> Iterator[tuple[str, bytes]]:
    return ((name, data) for name, data in images.items() if name not in found.images)
