"""A small release on disk: coloured shapes in two styles, named in English and German."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from schemas.features import CONFIG_SCHEMAS
from schemas.shards import write_shard

_COLOURS = {
    "red": ("rot", "#d00000"),
    "green": ("grün", "#00a000"),
    "blue": ("blau", "#0000d0"),
    "black": ("schwarz", "#000000"),
}
_SHAPES = {"circle": "Kreis", "square": "Quadrat", "bar": "Balken"}
_CARD = """---
configs:
- config_name: Retrieval
  data_files:
  - {split: train, path: Retrieval/train-*.parquet}
  - {split: validation, path: Retrieval/validation-*.parquet}
- config_name: provenance
  data_files:
  - {split: train, path: provenance/train-*.parquet}
  - {split: validation, path: provenance/validation-*.parquet}
---
"""


def _draw(colour: str, shape: str, style: str) -> bytes:
    picture = Image.new("RGBA", (48, 48), "white" if style == "plain" else "#fff4d0")
    box = {"circle": (8, 8, 40, 40), "square": (8, 8, 40, 40), "bar": (20, 4, 28, 44)}[shape]
    draw = ImageDraw.Draw(picture)
    (draw.ellipse if shape == "circle" else draw.rectangle)(box, fill=_COLOURS[colour][1])
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _concepts(split: str) -> list[tuple[str, str]]:
    every = [(colour, shape) for colour in _COLOURS for shape in _SHAPES]
    return every[:8] if split == "train" else every[8:]


def _name(concept: tuple[str, str], language: str) -> str:
    colour, shape = concept
    return f"{colour} {shape}" if language == "en" else f"{_COLOURS[colour][0]} {_SHAPES[shape]}"


def _stored(data: bytes) -> dict[str, Any]:
    return {"bytes": data, "path": f"{hashlib.sha256(data).hexdigest()}.png"}


def _records(split: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    concepts = _concepts(split)
    for number, concept in enumerate(concepts):
        other = concepts[(number + 1) % len(concepts)]
        for language in ("en", "de"):
            for modality, style in (("T->I", "plain"), ("I->T", "tinted")):
                texts = (_name(concept, language), _name(other, language))
                images = (_draw(*concept, style), _draw(*other, style))
                to_image = modality == "T->I"
                record = dict.fromkeys(CONFIG_SCHEMAS["Retrieval"].names) | {
                    "id": hashlib.sha256(f"{concept}{language}{modality}".encode()).hexdigest()[
                        :24
                    ],
                    "language": language,
                    "task_type": "retrieval",
                    "modality": modality,
                    "instruction": "Find the match.",
                    "query_text": texts[0] if to_image else None,
                    "query_image": None if to_image else _stored(images[0]),
                    "positive_text": None if to_image else texts[0],
                    "positive_image": _stored(images[0]) if to_image else None,
                    "negative_texts": [None if to_image else texts[1]],
                    "negative_images": [_stored(images[1]) if to_image else None],
                }
                record |= dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 5)
                sources = [
                    {
                        "role": role,
                        "sha256": hashlib.sha256(image).hexdigest(),
                        "group": " ".join(named),
                        "source": "drawn",
                        "licence": "CC0",
                    }
                    for role, image, named in zip(
                        ("positive", "negative"), images, (concept, other), strict=True
                    )
                ]
                provenance = dict.fromkeys(CONFIG_SCHEMAS["provenance"].names)
                yield record, provenance | {"id": record["id"], "images": sources}


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of 8 training and 4 held-out concepts."""
    directory = tmp_path_factory.mktemp("release")
    (directory / "README.md").write_text(_CARD, encoding="utf-8")
    for split in ("train", "validation"):
        records = list(_records(split))
        for position, config in enumerate(("Retrieval", "provenance")):
            (directory / config).mkdir(exist_ok=True)
            write_shard(
                directory / config / f"{split}-00000.parquet",
                config,
                (entry[position] for entry in records),
            )
    return directory


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from or left in the user's caches."""
    root = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", root / "datasets")
