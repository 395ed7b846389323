"""A small release as the app finds one on disk: drawn pictograms, texts in five scripts."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import orjson
from PIL import Image, ImageDraw

from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.sample import Sample, sample_id
from schemas.shards import ImageFile, sample_record, write_shard

COLOURS = ("#d9513c", "#2f7fd0", "#3f9c5a", "#e0a021", "#7a55c4", "#c44f8a")

TEXTS = {
    "en": ("a red balloon in the sky", "a balloon floating above a roof", "a kite on a string"),
    "ar": ("بالون أحمر في السماء", "بالون يطير فوق السطح", "طائرة ورقية بخيط"),
    "he": ("בלון אדום בשמיים", "בלון מרחף מעל הגג", "עפיפון על חוט"),
    "ja": ("空に浮かぶ赤い風船", "屋根の上を飛ぶ風船", "糸のついた凧"),
    "hi": ("आसमान में लाल गुब्बारा", "छत के ऊपर उड़ता गुब्बारा", "डोर पर पतंग"),
}
CELLS = (
    ("classification", "I->T"),
    ("classification", "IT->T"),
    ("vqa", "IT->T"),
    ("retrieval", "T->I"),
    ("retrieval", "IT->IT"),
    ("retrieval", "I->I"),
)


def draw(number: int, side_px: int = 160) -> bytes:
    """A pictogram of its own: shape and colour by number."""
    image = Image.new("RGBA", (side_px, side_px), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    colour = COLOURS[number % len(COLOURS)]
    inset = 12 + number % 9
    box = (inset, inset, side_px - inset, side_px - inset)
    if number % 3 == 0:
        pen.ellipse(box, fill=colour)
    elif number % 3 == 1:
        pen.rounded_rectangle(box, 24, fill=colour)
    else:
        pen.regular_polygon((side_px / 2, side_px / 2, side_px / 2 - inset), 3, fill=colour)
    pen.text((side_px / 2 - 6, side_px / 2 - 6), str(number), fill="white")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def make_sample(
    task: str,
    modality: str,
    language: str,
    images: tuple[str, str, str],
    texts: tuple[str, str, str],
    instruction: str = "Find what the query asks for.",
) -> Sample:
    """A sample of a cell; images and texts in the order query, positive, hard negative."""
    query, document = modality.split("->")
    content = {
        "language": language,
        "task_type": task,
        "modality": modality,
        "instruction": instruction,
        "query_text": texts[0] if "T" in query else None,
        "query_image": images[0] if "I" in query else None,
        "positive_text": texts[1] if "T" in document else None,
        "positive_image": images[1] if "I" in document else None,
        "negative_texts": (texts[2] if "T" in document else None,),
        "negative_images": (images[2] if "I" in document else None,),
    }
    scores = {"relevance": 5, "plausibility": 4, "clarity": 5, "diversity": 3}
    return Sample.model_validate({**content, **scores, "id": sample_id(content)})


def write_release(
    directory: Path,
    samples: Iterable[Sample],
    images: dict[str, bytes],
    version: str = "0.1.0",
) -> Path:
    """Shards and manifest of the samples, one shard a config."""
    by_config: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: sample.id):
        by_config.setdefault(sample.config, []).append(sample)
    shards = []
    for config, members in by_config.items():
        path = directory / "data" / config / "train-0.parquet"
        path.parent.mkdir(parents=True)
        records = [
            sample_record(sample, lambda sha: ImageFile(images[sha], f"{sha}.png"))
            for sample in members
        ]
        write_shard(path, config, records)
        shards.append(
            ShardEntry(
                path=str(path.relative_to(directory)),
                config=config,
                split="train",
                key="0",
                num_rows=len(members),
                num_bytes=path.stat().st_size,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                rows_hash="",
            )
        )
    manifest = ReleaseManifest(
        name="tiny",
        version=version,
        num_samples=sum(shard.num_rows for shard in shards),
        num_by_config={shard.config: {"train": shard.num_rows} for shard in shards},
        languages={},
        modalities={},
        teacher_models=["drawn"],
        prompt_hashes=[],
        licences={},
        config_hash="",
        policy={},
        shards=shards,
    )
    (directory / "manifest.json").write_bytes(orjson.dumps(manifest.model_dump(mode="json")))
    return directory


def add_image(images: dict[str, bytes], data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    images[sha256] = data
    return sha256


def tiny_samples() -> tuple[list[Sample], dict[str, bytes]]:
    """Thirty samples: five languages in six cells, with images of their own."""
    images: dict[str, bytes] = {}
    samples = []
    for task, modality in CELLS:
        for language, texts in TEXTS.items():
            start = 3 * len(samples)
            shas = [add_image(images, draw(start + offset)) for offset in range(3)]
            samples.append(
                make_sample(task, modality, language, (shas[0], shas[1], shas[2]), texts)
            )
    return samples, images
