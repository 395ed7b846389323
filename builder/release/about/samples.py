"""Sample rows of a card: which rows it shows, their small pictures, and the HTML they stand in."""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa

from builder.release.about.markdown import html_text
from builder.release.image_columns import ImageSource
from builder.release.rows import Chunk
from schemas.pictures import PictureError, read_picture
from schemas.vocabulary import CELLS, CONFIG_OF_TASK, LANGUAGES, Cell

FOLDER = "samples"
NUM_SAMPLES = 3
#: Three columns of them fit the width of a card.
_SIDE_PX = 224
_MAX_CHARS = 300
_TITLES = {"query": "query", "positive": "positive", "negative": "hard negative"}

Kind = Literal["en", "rtl", "other"]
_KINDS: tuple[Kind, ...] = ("en", "rtl", "other")


@dataclass(slots=True)
class SampleChoice:
    """Remembers the first row by id of each cell in English, right to left, and all else."""

    _first: dict[tuple[Kind, Cell], bytes] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Looks through the next rows in order of id."""
        slots = chunk.samples.select(["task_type", "modality", "language"])
        rows = pa.array(range(slots.num_rows))
        first = (
            slots.append_column("row", rows)
            .group_by(slots.column_names, use_threads=False)
            .aggregate([("row", "min")])
            .sort_by("row_min")
        )
        for found in first.to_pylist():
            key = _kind(found["language"]), Cell(found["task_type"], found["modality"])
            self._first.setdefault(key, chunk.raw_samples[found["row_min"]])

    def chosen(self) -> list[bytes]:
        """At most three rows as JSON: English, right to left and another, of different tasks."""
        left = dict(self._first)
        rows: list[bytes] = []
        tasks: set[str] = set()
        wanted: list[tuple[Kind, ...]] = [*((kind,) for kind in _KINDS), *[_KINDS] * NUM_SAMPLES]
        for kinds in wanted:
            keys = [key for key in left if key[0] in kinds]
            if keys and len(rows) < NUM_SAMPLES:
                key = min(keys, key=lambda key: _preference(key, tasks))
                rows.append(left.pop(key))
                tasks.add(key[1].task_type)
        return rows


def _kind(language: str) -> Kind:
    if language == "en":
        return "en"
    return "rtl" if language in LANGUAGES and LANGUAGES[language].is_rtl else "other"


def _preference(key: tuple[Kind, Cell], tasks: set[str]) -> tuple[bool, int, int, int]:
    """A task that is not shown yet, then much to see, then the order of kinds and cells."""
    kind, cell = key
    num_parts = len(cell.image_roles) + cell.query_has_text + 2 * cell.document_has_text
    return cell.task_type in tasks, -num_parts, _KINDS.index(kind), CELLS.index(cell)


def write_samples(directory: Path, rows: Sequence[bytes], images: ImageSource) -> list[str]:
    """Writes the pictures of sample rows; returns the HTML of each row.

    Args:
        directory: Release directory.
        rows: Samples as JSON, images by hash.
        images: Gives their bytes.
    """
    return [
        _sample(directory, number, orjson.loads(row), images) for number, row in enumerate(rows)
    ]


def _sample(directory: Path, number: int, row: dict[str, Any], images: ImageSource) -> str:
    language = LANGUAGES[row["language"]]
    what = f"{CONFIG_OF_TASK[row['task_type']]} {row['modality']}, {language.name}"
    sides = list(_sides(row))
    titles = "".join(f"<th>{_TITLES[name]}</th>" for name, _, _ in sides)
    cells: list[str] = []
    for name, text, sha256 in sides:
        parts: list[str] = []
        if sha256 is not None:
            path = f"{FOLDER}/{number + 1}-{name}.jpg"
            parts.append(_picture(directory, path, _TITLES[name], sha256, images))
        if text is not None:
            direction = "rtl" if language.is_rtl else "ltr"
            shown = html_text(text, _MAX_CHARS)
            parts.append(f'<p dir="{direction}" lang="{language.code}">{shown}</p>')
        cells.append(f'<td align="center" valign="top" width="33%">{"".join(parts)}</td>')
    instruction = html_text(row["instruction"], _MAX_CHARS)
    return "\n".join(
        (
            "<table>",
            f'<tr><th colspan="{len(sides)}" align="left">{html_text(what, _MAX_CHARS)}<br>'
            f"<em>{instruction}</em></th></tr>",
            f"<tr>{titles}</tr>",
            f"<tr>{''.join(cells)}</tr>",
            "</table>",
        )
    )


def _sides(row: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, text and image of query, positive and first hard negative."""
    yield "query", row["query_text"], row["query_image"]
    yield "positive", row["positive_text"], row["positive_image"]
    for text, image in zip(row["negative_texts"][:1], row["negative_images"][:1], strict=True):
        yield "negative", text, image


def _picture(directory: Path, path: str, title: str, sha256: str, images: ImageSource) -> str:
    """Writes a picture on the scale of the card; returns its element."""
    record = images.records_of([sha256])[sha256]
    data = bytearray(record.num_bytes)
    images.read_into(record, memoryview(data))
    try:
        picture = read_picture(bytes(data), max_side_px=_SIDE_PX)
    except PictureError:  # the row keeps its bytes; only the card goes without
        return f"<p>({title}: this picture cannot be shown)</p>"
    (directory / path).parent.mkdir(exist_ok=True)
    picture.save(directory / path, format="JPEG", quality=88)
    return f'<img src="{path}" alt="{title}" width="{picture.width}">'
