"""Small releases on disk: rows as Parquet holds them, a manifest that fits, a card."""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from PIL import Image, ImageDraw

from schemas.features import CONFIG_SCHEMAS
from schemas.manifest import MANIFEST_NAME, ReleaseManifest, ShardEntry
from schemas.sample import Sample, sample_id
from schemas.shards import ImageFile, sample_record, write_shard
from schemas.vocabulary import CELLS, CONFIG_OF_TASK, Cell

Record = dict[str, Any]

LANGUAGES = ("en", "de", "ar", "ja")
#: Colour by English name: fill, then the word in German, Arabic (masculine, feminine), Japanese.
COLOURS = {
    "red": ("#d00000", "rot", "أحمر", "حمراء", "赤"),
    "green": ("#00a000", "grün", "أخضر", "خضراء", "緑"),
    "blue": ("#0000d0", "blau", "أزرق", "زرقاء", "青"),
    "black": ("#000000", "schwarz", "أسود", "سوداء", "黒"),
    "yellow": ("#e0c000", "gelb", "أصفر", "صفراء", "黄色"),
}
#: Shape by English name: the word in German, its ending of adjectives, Arabic, Japanese.
SHAPES = {
    "circle": ("Kreis", "er", "دائرة", "円"),
    "square": ("Quadrat", "es", "مربع", "正方形"),
    "bar": ("Balken", "er", "شريط", "棒"),
}
QUESTIONS = {
    "en": ("Which colour is this?", "Which shape is this?", "the same in another style"),
    "de": ("Welche Farbe ist das?", "Welche Form ist das?", "dasselbe in anderem Stil"),
    "ar": ("ما هذا اللون؟", "ما هذا الشكل؟", "الشيء نفسه بأسلوب آخر"),
    "ja": ("これは何色ですか", "これはどんな形ですか", "別のスタイルの同じもの"),
}

Concept = tuple[str, str]
CONCEPTS: list[Concept] = [(colour, shape) for colour in COLOURS for shape in SHAPES]
TRAIN_CONCEPTS, VALIDATION_CONCEPTS = CONCEPTS[:9], CONCEPTS[9:]


def draw(concept: Concept, style: str, side_px: int = 48) -> bytes:
    """A PNG of a coloured shape; `style` is "plain" (on white) or "tinted"."""
    colour, shape = concept
    picture = Image.new("RGBA", (48, 48), "white" if style == "plain" else "#fff4d0")
    box = {"circle": (8, 8, 40, 40), "square": (8, 8, 40, 40), "bar": (20, 4, 28, 44)}[shape]
    pen = ImageDraw.Draw(picture)
    (pen.ellipse if shape == "circle" else pen.rectangle)(box, fill=COLOURS[colour][0])
    file = io.BytesIO()
    picture.resize((side_px, side_px), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def colour_name(colour: str, language: str) -> str:
    _, german, arabic, _, japanese = COLOURS[colour]
    return {"en": colour, "de": german, "ar": arabic, "ja": japanese}[language]


def shape_name(shape: str, language: str) -> str:
    german, _, arabic, japanese = SHAPES[shape]
    return {"en": shape, "de": german, "ar": arabic, "ja": japanese}[language]


def concept_name(concept: Concept, language: str) -> str:
    """For example "red circle", "roter Kreis", "دائرة حمراء", "赤の円"."""
    colour, shape = concept
    _, german, masculine, feminine, japanese = COLOURS[colour]
    noun = shape_name(shape, language)
    return {
        "en": f"{colour} {noun}",
        "de": f"{german}{SHAPES[shape][1]} {noun}",
        "ar": f"{noun} {feminine if shape == 'circle' else masculine}",
        "ja": f"{japanese}の{noun}",
    }[language]


def stored(data: bytes, extension: str = "png") -> Record:
    """An image as a Parquet row holds it."""
    return {"bytes": data, "path": f"{hashlib.sha256(data).hexdigest()}.{extension}"}


def bare_record(
    number: int,
    modality: str,
    *,
    task_type: str = "retrieval",
    language: str = "en",
    query_text: str | None = None,
    query_image: Record | None = None,
    positive_text: str | None = None,
    positive_image: Record | None = None,
    negatives: Sequence[tuple[str | None, Record | None]] = (),
) -> Record:
    """A row by hand, whether or not it keeps the contract; its id follows from `number`."""
    record = dict.fromkeys(CONFIG_SCHEMAS["Retrieval"].names)
    record |= dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 5)
    return record | {
        "id": hashlib.sha256(f"row {number}".encode()).hexdigest()[:24],
        "language": language,
        "task_type": task_type,
        "modality": modality,
        "instruction": "Find the match.",
        "query_text": query_text,
        "query_image": query_image,
        "positive_text": positive_text,
        "positive_image": positive_image,
        "negative_texts": [text for text, _ in negatives],
        "negative_images": [image for _, image in negatives],
    }


def images_of(record: Record) -> list[bytes]:
    """Bytes of the images of a row: query, positive, hard negatives."""
    places = (record["query_image"], record["positive_image"], *(record["negative_images"] or ()))
    return [place["bytes"] for place in places if place and place["bytes"] is not None]


def provenance(record: Record, groups: Mapping[str, str]) -> Record:
    """The `provenance` row of a row; an image without a named group is one of its own."""
    sources = []
    for data in images_of(record):
        sha256 = hashlib.sha256(data).hexdigest()
        sources.append(
            {
                "role": "query",
                "sha256": sha256,
                "group": groups.get(sha256, sha256),
                "source": "drawn",
                "licence": "CC0-1.0",
            }
        )
    keys = {name: record[name] for name in ("id", "language", "task_type", "modality")}
    return dict.fromkeys(CONFIG_SCHEMAS["provenance"].names) | keys | {"images": sources}


def write_release(
    directory: Path,
    rows: Mapping[str, Sequence[Record]],
    *,
    name: str = "tiny",
    version: str = "0.1.0",
    groups: Mapping[str, str] | None = None,
    folder: str = "data",
) -> Path:
    """Writes shards, manifest and card of rows by split; one shard per config and split.

    Args:
        groups: Image group by sha256, for `provenance`.
        folder: Under which the configs' folders lie; "" puts them at the top.
    """
    directory.mkdir(parents=True, exist_ok=True)
    contents: dict[tuple[str, str], list[Record]] = {}
    for split, records in rows.items():
        for record in records:
            config = CONFIG_OF_TASK.get(record["task_type"], "Retrieval")
            contents.setdefault((config, split), []).append(record)
        if records:
            sources = [provenance(record, groups or {}) for record in records]
            contents["provenance", split] = sources
    for (config, split), records in contents.items():
        path = directory / folder / config / f"{split}-00000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shard(path, config, records)
    paths = {key: Path(folder, key[0], f"{key[1]}-00000.parquet") for key in contents}
    write_card(directory, paths)
    shards = [
        (config, split, paths[config, split].as_posix(), len(records))
        for (config, split), records in contents.items()
    ]
    write_manifest(directory, shards, name=name, version=version)
    return directory


def write_manifest(
    directory: Path,
    shards: Iterable[tuple[str, str, str, int]],
    *,
    name: str = "tiny",
    version: str = "0.1.0",
) -> None:
    """Writes `manifest.json` for shards on disk: (config, split, path, number of rows)."""
    entries = []
    num_by_config: dict[str, dict[str, int]] = {}
    for config, split, path, num_rows in shards:
        data = (directory / path).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        entries.append(
            ShardEntry(
                path=path,
                config=config,
                split=split,
                key="0",
                num_rows=num_rows,
                num_bytes=len(data),
                sha256=digest,
                rows_hash="",
            )
        )
        counts = num_by_config.setdefault(config, {})
        counts[split] = counts.get(split, 0) + num_rows
    manifest = ReleaseManifest(
        name=name,
        version=version,
        num_samples=sum(
            sum(counts.values())
            for config, counts in num_by_config.items()
            if config in CONFIG_OF_TASK.values()
        ),
        num_by_config=num_by_config,
        languages={},
        modalities={},
        teacher_models=["drawn"],
        prompt_hashes=[],
        licences={},
        config_hash="",
        policy={},
        shards=entries,
    )
    (directory / MANIFEST_NAME).write_bytes(orjson.dumps(manifest.model_dump(mode="json")))


def write_card(directory: Path, paths: Mapping[tuple[str, str], Path]) -> None:
    """Writes the README that `datasets` reads configs and splits from."""
    lines = ["---", "configs:"]
    for config in dict.fromkeys(config for config, _ in paths):
        lines += [f"- config_name: {config}", "  data_files:"]
        for (owner, split), path in paths.items():
            if owner == config:
                lines.append(f"  - {{split: {split}, path: {path.as_posix()}}}")
    (directory / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


def shape_samples(
    concepts: Sequence[Concept], languages: Sequence[str] = LANGUAGES, side_px: int = 48
) -> Iterator[tuple[Record, dict[str, str]]]:
    """Rows of all ten cells for every concept and language, each with the groups of its images.

    Hard negatives are one or two concepts after it, so their number is ragged.
    """
    for number, concept in enumerate(concepts):
        for position, language in enumerate(languages):
            for index, cell in enumerate(CELLS):
                num_negatives = 1 + (number + position + index) % 2
                others = [concepts[(number + 1 + n) % len(concepts)] for n in range(num_negatives)]
                yield _shape_row(cell, concept, others, language, side_px)


def _shape_row(
    cell: Cell, concept: Concept, others: Sequence[Concept], language: str, side_px: int
) -> tuple[Record, dict[str, str]]:
    files: dict[str, ImageFile] = {}
    groups: dict[str, str] = {}

    def image(of: Concept, style: str, wanted: bool) -> str | None:
        if not wanted:
            return None
        file = stored(draw(of, style, side_px))
        sha256 = file["path"].split(".")[0]
        files[sha256] = ImageFile(file["bytes"], file["path"])
        groups[sha256] = " ".join(of)
        return sha256

    query_text, positive_text, negative_texts = _texts(cell, concept, others, language)
    content = {
        "language": language,
        "task_type": cell.task_type,
        "modality": cell.modality,
        "instruction": f"{cell.task_type.capitalize()}: find what the query asks for.",
        "query_text": query_text if cell.query_has_text else None,
        "query_image": image(concept, "tinted", cell.query_has_image),
        "positive_text": positive_text if cell.document_has_text else None,
        "positive_image": image(concept, "plain", cell.document_has_image),
        "negative_texts": [text if cell.document_has_text else None for text in negative_texts],
        "negative_images": [image(other, "plain", cell.document_has_image) for other in others],
    }
    scores = dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), 5)
    sample = Sample.model_validate({**content, **scores, "id": sample_id(content)})
    return sample_record(sample, lambda sha256: files[sha256]), groups


def _texts(
    cell: Cell, concept: Concept, others: Sequence[Concept], language: str
) -> tuple[str, str, list[str]]:
    """Query, positive and hard negatives, as far as the cell has them."""
    which_colour, which_shape, another_style = QUESTIONS[language]
    colour, shape = concept
    if cell.task_type == "classification":
        colours = [name for name in COLOURS if name != colour][: len(others)]
        answers = [colour_name(name, language) for name in colours]
        return which_colour, colour_name(colour, language), answers
    if cell.task_type == "vqa":
        shapes = [name for name in SHAPES if name != shape][: len(others)]
        return which_shape, shape_name(shape, language), [shape_name(s, language) for s in shapes]
    name = concept_name(concept, language)
    query = another_style if cell.query_has_image else name
    return query, name, [concept_name(other, language) for other in others]


def write_shapes(directory: Path, *, version: str = "0.1.0", side_px: int = 48) -> Path:
    """Coloured shapes in all ten cells and four languages: 9 training concepts, 6 held out.

    360 rows in train, 240 in validation; two pictures per concept, "tinted" as queries.
    """
    rows: dict[str, list[Record]] = {}
    groups: dict[str, str] = {}
    for split, concepts in (("train", TRAIN_CONCEPTS), ("validation", VALIDATION_CONCEPTS)):
        for record, owners in shape_samples(concepts, side_px=side_px):
            rows.setdefault(split, []).append(record)
            groups |= owners
    return write_release(directory, rows, name="shapes", version=version, groups=groups)
