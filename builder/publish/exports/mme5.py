"""The columns mmE5's and VLM2Vec's trainers read, with images as files.

`neg_text` and `neg_image_path` are Python lists written as strings, because
the trainer calls `eval` on them; ours hold string literals and nothing else.
A text whose row has an image begins with `<|image_1|>`; others never do.

Source: haon-chen/mmE5, src/dataset.py (columns); arXiv 2502.08468.
"""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from pathlib import Path
from typing import Any

import pyarrow as pa

from builder.progress import Progress
from builder.publish.exports.row_writer import RowWriter
from builder.publish.exports.target import Exported, open_source, whole_directory

_IMAGE_TOKEN = "<|image_1|>\n"
_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in (
            *("qry", "qry_image_path", "pos_text", "pos_image_path"),
            *("neg_text", "neg_image_path", "modality"),
        )
    ]
)


def export_mme5(release: Path, target: Path, progress: Progress) -> Exported:
    """Writes `data/<config>/<split>.parquet` and `images/`.

    Args:
        release: Release directory.
        target: New directory; give it to the trainer as dataset name and as image directory.
        progress: Called as rows are written.
    """
    source = open_source(release, progress)
    num_rows = 0
    with whole_directory(target) as staging:
        writer = RowWriter(staging, source)
        images = _ImageFolder(staging)
        for entry, record in source.rows():
            writer.add(entry.config, entry.split, _SCHEMA, _row(record, images))
            num_rows += 1
        num_files = writer.close(
            "in the columns of intfloat/mmE5-synthetic; image paths are relative to this folder."
        )
        num_files += images.num_files
    how = f'--synthetic_dataset_name "{target}" --image_dir "{target}"'
    return Exported(target, num_rows, num_files, how)


class _ImageFolder:
    """Images by hash under `images/`, each written once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: set[str] = set()

    @property
    def num_files(self) -> int:
        return len(self._written)

    def add(self, image: dict[str, Any] | None) -> str:
        """Relative path of the image, "" where there is none."""
        if image is None:
            return ""
        name = Path(image["path"]).name
        relative = f"images/{name[:2]}/{name}"
        if relative not in self._written:
            path = self._directory / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image["bytes"])
            self._written.add(relative)
        return relative


def _row(record: dict[str, Any], images: _ImageFolder) -> dict[str, str]:
    query = "\n".join(part for part in (record["instruction"], record["query_text"]) if part)
    negatives = list(zip(record["negative_texts"], record["negative_images"], strict=True))
    return {
        "qry": _with_token(query, record["query_image"]),
        "qry_image_path": images.add(record["query_image"]),
        "pos_text": _with_token(record["positive_text"], record["positive_image"]),
        "pos_image_path": images.add(record["positive_image"]),
        "neg_text": repr([_with_token(text, image) for text, image in negatives]),
        "neg_image_path": repr([images.add(image) for _, image in negatives]),
        "modality": record["modality"].replace("->", "2"),
    }


def _with_token(text: str | None, image: dict[str, Any] | None) -> str:
    return (_IMAGE_TOKEN if image else "") + (text or "")
