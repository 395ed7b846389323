"""The columns VLM2Vec's loader of MMEB-train reads, with images as files.

Plain strings, "" where a side lacks the modality: the loader calls `replace` on
every text, joins every path to the image directory and opens it. It takes one
hard negative, so a row's first one is written.

Source: TIGER-AI-Lab/VLM2Vec, src/data/dataset/mmeb_dataset.py (`load_mmeb_dataset`, and
`TrainTextImageDataset` of its first release).
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
            *("neg_text", "neg_image_path"),
        )
    ]
)
_NOTE = """in the columns of TIGER-Lab/MMEB-train. Only a row's first hard negative is here, for \
VLM2Vec reads one.

For its `--dataset_config`, one entry a task, with this folder in place of EXPORT:

```yaml
{entries}
```"""
_ENTRY = """{name}:
  dataset_parser: mmeb
  dataset_name: EXPORT
  subset_name: {name}
  dataset_split: train
  image_dir: EXPORT
  weight: {weight}"""


def export_vlm2vec(release: Path, target: Path, progress: Progress) -> Exported:
    """Writes `data/<config>/<split>.parquet` and `images/`.

    Args:
        release: Release directory.
        target: New directory; `dataset_name` and `image_dir` of VLM2Vec's configuration.
        progress: Called as rows are written.
    """
    source = open_source(release, progress)
    num_rows = 0
    with whole_directory(target) as staging:
        writer = RowWriter(staging, source)
        images = ImageFolder(staging)
        num_train: dict[str, int] = {}
        for entry, record in source.rows():
            writer.add(entry.config, entry.split, _SCHEMA, _row(record, images))
            num_rows += 1
            if entry.split == "train":
                num_train[entry.config] = num_train.get(entry.config, 0) + 1
        entries = [_ENTRY.format(name=name, weight=num) for name, num in sorted(num_train.items())]
        num_files = writer.close(_NOTE.format(entries="\n".join(entries)))
        num_files += images.num_files
    how = f"dataset_parser: mmeb, dataset_name: {target}, image_dir: {target} (see its README.md)"
    return Exported(target, num_rows, num_files, how)


def _row(record: dict[str, Any], images: ImageFolder) -> dict[str, str]:
    negatives = zip(record["negative_texts"], record["negative_images"], strict=True)
    text, image = next(negatives, (None, None))
    return {
        "qry": with_token(query_text(record), record["query_image"]),
        "qry_image_path": images.add(record["query_image"]),
        "pos_text": with_token(record["positive_text"], record["positive_image"]),
        "pos_image_path": images.add(record["positive_image"]),
        "neg_text": with_token(text, image),
        "neg_image_path": images.add(image),
    }
