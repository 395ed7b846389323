"""Converts published rows to rows of items; those that break the contract are counted."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.sample import CONTENT_FIELDS, MAX_TEXT_CHARS
from schemas.vocabulary import LANGUAGES, MODALITIES, TASK_TYPES, Cell
from trainer.data.image_store import ImageStore
from trainer.data.items import Item, Row

_TEXTS = ("id", "language", "task_type", "modality", "instruction", "query_text", "positive_text")
#: Columns that a row needs.
COLUMNS = ("id", *CONTENT_FIELDS)
_CELLS = {(task, modality): Cell(task, modality) for task in TASK_TYPES for modality in MODALITIES}
_MAX_SHOWN = 40
_SHA256_CHARS = 64
_MIN_THREADED_BYTES = 8_192  # per image


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was left out for one reason.

    Args:
        what: Such as 'rows of unknown language "xx"'.
        count: How many.
        example: File and row id of the first.
    """

    what: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.count:,} {self.what} (first: {self.example})"


class SkipCount:
    """Counts what is left out, by reason, with the first example of each."""

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._examples: dict[str, str] = {}

    def add(self, what: str, path: str, row_id: object) -> None:
        self._counts[what] += 1
        self._examples.setdefault(what, f'{path}, row id "{_shown(row_id)}"')

    def result(self) -> tuple[Skipped, ...]:
        """Reasons, the most frequent first."""
        return tuple(
            Skipped(what, count, self._examples[what]) for what, count in self._counts.most_common()
        )


class DamagedImageError(ValueError):
    """An image's bytes are not those that its published name is the sha256 of."""


class RowReader:
    """Turns batches of a version into rows; equal texts and items share memory.

    Args:
        images: Where the images go.
        pool: Hashes photographs; small images are hashed in place.
    """

    def __init__(self, images: ImageStore, pool: Executor) -> None:
        self.images = images
        self._pool = pool
        self.rows: list[Row] = []
        self.skipped = SkipCount()
        self._ids: set[str] = set()
        self._kept: dict[Any, Any] = {}

    def take(self, batch: pa.RecordBatch, path: str) -> None:
        """Adds the rows of a batch that has `COLUMNS`.

        Args:
            path: The file, for messages.

        Raises:
            DamagedImageError: Bytes of an image differ from what its name says.
        """
        query_images = self._hashes(batch["query_image"])
        positive_images = self._hashes(batch["positive_image"])
        negative_texts = batch["negative_texts"].to_pylist()
        negative_images = _lists(batch["negative_images"], self._hashes)
        columns = (batch[name].to_pylist() for name in _TEXTS)
        for record in zip(
            *columns, query_images, positive_images, negative_texts, negative_images, strict=True
        ):
            row = self._row(record, path)
            if isinstance(row, str):
                self.skipped.add(row, path, record[0])
            else:
                self._ids.add(row.id)
                self.rows.append(row)

    def _row(self, record: tuple[Any, ...], path: str) -> Row | str:
        """The row, or the reason under which it is counted as skipped."""
        row_id, language, task, modality, instruction, query_text, positive_text = record[:7]
        query_image, positive_image, negative_texts, negative_images = record[7:]
        problem = _label_problem(language, task, modality)
        if problem:
            return problem
        if not row_id or row_id in self._ids:
            return "rows whose id is missing or appears twice"
        cell, once = _CELLS[task, modality], self._once
        query = Item(once(instruction), once(query_text), query_image)
        positive = once(Item(None, once(positive_text), positive_image))
        problem = _side_problem(cell, query, positive)
        if problem:
            return problem
        negatives: list[Item] = []
        if len(negative_texts or ()) != len(negative_images or ()):
            self.skipped.add("lists of hard negatives of unequal length", path, row_id)
        else:
            for text, image in zip(negative_texts or (), negative_images or (), strict=True):
                item = once(Item(None, once(text), image))
                if _fits(item, cell.document_has_text, cell.document_has_image):
                    negatives.append(item)
                else:
                    what = f"hard negatives that do not fit modality {modality}"
                    self.skipped.add(what, path, row_id)
        return Row(
            id=row_id,
            language=LANGUAGES[language].code,
            task_type=cell.task_type,
            modality=cell.modality,
            query=query,
            positive=positive,
            negatives=tuple(negatives),
        )

    def _once(self, value: Any) -> Any:
        """The first equal value seen."""
        return self._kept.setdefault(value, value)

    def _hashes(self, column: pa.StructArray) -> list[str | None]:
        """Stores the images of a column; their sha256 by row, None where there is no image."""
        kind = column.type
        contents, names = (
            column.flatten()[kind.get_field_index(name)] for name in ("bytes", "path")
        )
        is_small = contents.nbytes < _MIN_THREADED_BYTES * len(contents)
        added = (map if is_small else self._pool.map)(self._add, _slices(contents))
        found: list[str | None] = []
        for sha256, name in zip(added, names.to_pylist(), strict=True):
            published = (name or "").partition(".")[0]
            if sha256 is not None and published != sha256 and _is_sha256(published):
                raise DamagedImageError(published)
            found.append(self._once(sha256))
        return found

    def _add(self, data: memoryview | None) -> str | None:
        return None if data is None else self.images.add(data)


def _slices(column: pa.BinaryArray) -> Iterator[memoryview | None]:
    """Values of a binary column without copying them."""
    if not len(column):
        return
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[column.offset :][: len(column) + 1].tolist()
    content = memoryview(data or b"")
    for index, valid in enumerate(column.is_valid().to_pylist()):
        yield content[bounds[index] : bounds[index + 1]] if valid else None


def _lists(
    column: pa.ListArray, convert: Callable[[Any], Sequence[Any]]
) -> list[Sequence[Any] | None]:
    """Values of a list column by row, converted as one array."""
    bounds = column.offsets.to_pylist()
    first = bounds[0]
    values = convert(column.values.slice(first, bounds[-1] - first))
    return [
        values[bounds[index] - first : bounds[index + 1] - first] if valid else None
        for index, valid in enumerate(column.is_valid().to_pylist())
    ]


def _label_problem(language: Any, task: Any, modality: Any) -> str | None:
    if language not in LANGUAGES:
        return f'rows of unknown language "{_shown(language)}"'
    if modality not in MODALITIES:
        return f'rows of unknown modality "{_shown(modality)}"'
    if task not in TASK_TYPES:
        return f'rows of unknown task type "{_shown(task)}"'
    return None


def _side_problem(cell: Cell, query: Item, positive: Item) -> str | None:
    if not _fits(query, cell.query_has_text, cell.query_has_image):
        return f"rows whose query does not fit modality {cell.modality}"
    if not _fits(positive, cell.document_has_text, cell.document_has_image):
        return f"rows whose positive does not fit modality {cell.modality}"
    if query.instruction is not None and not _is_text(query.instruction):
        return f"rows whose instruction is empty or longer than {MAX_TEXT_CHARS:,} characters"
    return None


def _fits(item: Item, has_text: bool, has_image: bool) -> bool:
    """Whether an item has just these parts, and a text that is neither empty nor too long."""
    if (item.image is not None) != has_image or (item.text is not None) != has_text:
        return False
    return item.text is None or _is_text(item.text)


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MAX_TEXT_CHARS


def _is_sha256(name: str) -> bool:
    return len(name) == _SHA256_CHARS and set(name) <= set("0123456789abcdef")


def _shown(value: object) -> str:
    """A value of the dataset, short and on one line."""
    text = str(value)[:_MAX_SHOWN]
    return "".join(char if char.isprintable() else "?" for char in text)
