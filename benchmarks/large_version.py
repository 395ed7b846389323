"""Makes a version of as many rows as asked: short texts in ten languages, small pictures."""

import hashlib
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from schemas.features import SAMPLE_SCHEMA, with_footer
from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.vocabulary import CELLS, CONFIG_OF_TASK, Cell

VERSION = "0.1.0"
LANGUAGES = ("ar", "de", "en", "fa", "he", "hi", "ja", "km", "ru", "zh")
_WORDS = [
    "river",
    "bridge",
    "harbour",
    "garden",
    "window",
    "market",
    "mountain",
    "lantern",
    "bicycle",
    "orchard",
]
_NUM_PICTURES = 64
_PICTURE_SIDE_PX = 48
_ROWS_PER_GROUP = 1_000
_ROWS_PER_SHARD = 25_000


def make_large_version(directory: Path, num_rows: int) -> Path:
    """Writes a version, or takes the one that is there already; returns its directory.

    Args:
        directory: Of the version.
        num_rows: Spread over all ten cells and `LANGUAGES`.
    """
    if (directory / "manifest.json").exists():
        return directory
    pictures = [_picture(number) for number in range(_NUM_PICTURES)]
    shards: list[ShardEntry] = []
    start = 0
    for cell, count in zip(itertools.cycle(CELLS), _shard_sizes(num_rows), strict=False):
        shards.append(_write_shard(directory, cell, len(shards), start, count, pictures))
        start += count
    by_config: dict[str, dict[str, int]] = {}
    for shard in shards:
        counts = by_config.setdefault(shard.config, {"train": 0})
        counts["train"] += shard.num_rows
    manifest = ReleaseManifest(
        name="large",
        version=VERSION,
        num_samples=num_rows,
        num_by_config=by_config,
        languages={},
        modalities={},
        teacher_models=["synthetic"],
        prompt_hashes=[],
        licences={},
        config_hash="",
        policy={},
        shards=shards,
    )
    (directory / "manifest.json").write_bytes(orjson.dumps(manifest.model_dump(mode="json")))
    return directory


def _shard_sizes(num_rows: int) -> Iterator[int]:
    """Sizes of shards, at least one for each cell where there are rows enough."""
    size = max(1, min(_ROWS_PER_SHARD, -(-num_rows // len(CELLS))))
    while num_rows > 0:
        yield min(size, num_rows)
        num_rows -= size


def _write_shard(
    directory: Path,
    cell: Cell,
    number: int,
    start: int,
    count: int,
    pictures: list[dict[str, Any]],
) -> ShardEntry:
    config = CONFIG_OF_TASK[cell.task_type]
    path = directory / "data" / config / f"train-{number}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = with_footer(SAMPLE_SCHEMA)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(start, start + count, _ROWS_PER_GROUP):
            rows = range(first, min(first + _ROWS_PER_GROUP, start + count))
            records = sorted((_record(cell, row, pictures) for row in rows), key=lambda r: r["id"])
            writer.write_table(pa.Table.from_pylist(records, schema=schema))
    return ShardEntry(
        path=str(path.relative_to(directory)),
        config=config,
        split="train",
        key=str(number),
        num_rows=count,
        num_bytes=path.stat().st_size,
        sha256="",
        rows_hash="",
    )


def _record(cell: Cell, row: int, pictures: list[dict[str, Any]]) -> dict[str, Any]:
    query, document = cell.modality.split("->")
    text = f"{_WORDS[row % 10]} {_WORDS[row // 10 % 10]} {_WORDS[row // 100 % 10]} {row}"

    def picture(offset: int) -> dict[str, Any]:
        return pictures[(row * 7 + offset) % _NUM_PICTURES]

    return {
        "id": hashlib.sha256(str(row).encode()).hexdigest()[:24],
        "language": LANGUAGES[row % len(LANGUAGES)],
        "task_type": cell.task_type,
        "modality": cell.modality,
        "instruction": f"Find the {_WORDS[row % 10]} that the query speaks of.",
        "query_text": f"query {text}" if "T" in query else None,
        "query_image": picture(0) if "I" in query else None,
        "positive_text": f"positive {text}" if "T" in document else None,
        "positive_image": picture(1) if "I" in document else None,
        "negative_texts": [f"negative {text}" if "T" in document else None],
        "negative_images": [picture(2) if "I" in document else None],
        **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 1 + row % 5),
        "alignment": None,
    }


def _picture(number: int) -> dict[str, Any]:
    image = Image.new("RGB", (_PICTURE_SIDE_PX, _PICTURE_SIDE_PX), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((4, 4, 44, 44), fill=(number * 4 % 256, number * 37 % 256, number * 91 % 256))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = buffer.getvalue()
    return {"bytes": data, "path": f"{hashlib.sha256(data).hexdigest()}.png"}
