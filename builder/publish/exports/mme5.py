"""The columns mmE5's trainer reads, with images as files.

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
from builder.publish.exports.image_folder import ImageFolder, query_text, with_token
from builder.publish.exports.row_writer import RowWriter
from builder.publish.exports.target import Exported, open_source, whole_directory

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
        images = ImageFolder(staging)
        for entry, record in source.rows():
            writer.add(entry.config, entry.split, _SCHEMA, _row(record, images))
            num_rows += 1
        num_files = writer.close(
            "in the columns of intfloat/mmE5-synthetic; image paths are relative to this folder."
        )
        num_files += images.num_files
    how = f'--synthetic_dataset_name "{target}" --image_dir "{target}"'
    return Exported(target, num_rows, num_files, how)


def _row(record: dict[str, Any], images: ImageFolder) -> dict[str, str]:
    negatives = list(zip(record["negative_texts"], record["negative_images"], strict=True))
    return {
        "qry": with_token(query_text(record), record["query_image"]),
        "qry_image_path": images.add(record["query_image"]),
        "pos_text": with_token(record["positive_text"], record["positive_image"]),
        "pos_image_path": images.add(record["positive_image"]),
        "neg_text": repr([with_token(text, image) for text, image in negatives]),
        "neg_image_path": repr([images.add(image) for _, image in negatives]),
        "modality": record["modality"].replace("->", "2"),
    }
