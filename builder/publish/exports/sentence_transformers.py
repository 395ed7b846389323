"""Anchor, positive and negative columns as `sentence-transformers` trains on them.

One config per task and modality, such as `Retrieval-IT2I`, so that a column
holds one kind of input: a string, an image, or `{"text", "image"}`. The
anchor's text is the instruction, then the query.
"""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from builder.progress import Progress
from builder.publish.exports.row_writer import RowWriter
from builder.publish.exports.target import Exported, open_source, whole_directory
from schemas.features import IMAGE
from schemas.vocabulary import Cell

_BOTH = pa.struct([("text", pa.string()), pa.field("image", IMAGE)])


def export_sentence_transformers(release: Path, target: Path, progress: Progress) -> Exported:
    """Writes `data/<config>/<split>.parquet` with the images inside.

    Args:
        release: Release directory.
        target: New directory.
        progress: Called as rows are written.
    """
    source = open_source(release, progress)
    num_rows = 0
    with whole_directory(target) as staging:
        writer = RowWriter(staging, source)
        for entry, record in source.rows():
            cell = Cell(record["task_type"], record["modality"])
            config = f"{entry.config}-{cell.modality.replace('->', '2')}"
            row = _row(record, cell)
            writer.add(config, entry.split, _schema(cell, len(row) - 2), row)
            num_rows += 1
        num_files = writer.close(
            "as anchor, positive and negative, one config a task and modality."
        )
    how = f'load_dataset("{target}", "Retrieval-T2I")'
    return Exported(target, num_rows, num_files, how)


@cache
def _schema(cell: Cell, num_negatives: int) -> pa.Schema:
    document = _kind(cell.document_has_text, cell.document_has_image)
    columns = [("anchor", _kind(True, cell.query_has_image)), ("positive", document)]
    columns += [(name, document) for name in _negative_names(num_negatives)]
    return pa.schema(columns)


def _kind(has_text: bool, has_image: bool) -> pa.DataType:
    if has_text and has_image:
        return _BOTH
    return IMAGE if has_image else pa.string()


def _row(record: dict[str, Any], cell: Cell) -> dict[str, Any]:
    query = "\n".join(part for part in (record["instruction"], record["query_text"]) if part)
    negatives = list(zip(record["negative_texts"], record["negative_images"], strict=True))
    document = (cell.document_has_text, cell.document_has_image)
    row = {
        "anchor": _value(query, record["query_image"], True, cell.query_has_image),
        "positive": _value(record["positive_text"], record["positive_image"], *document),
    }
    names = _negative_names(len(negatives))
    for name, (text, image) in zip(names, negatives, strict=True):
        row[name] = _value(text, image, *document)
    return row


def _negative_names(num_negatives: int) -> list[str]:
    if num_negatives == 1:
        return ["negative"]
    return [f"negative_{number}" for number in range(1, num_negatives + 1)]


def _value(text: str | None, image: Any, has_text: bool, has_image: bool) -> Any:
    if has_text and has_image:
        return {"text": text, "image": image}
    return image if has_image else text
