"""A small workspace with a real ledger and image store, as a build leaves it."""

import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path

import orjson
from PIL import Image

from builder.config import BuildConfig, save_config
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace, open_workspace
from schemas.review import ReviewEvent, write_events
from schemas.sample import CONTENT_FIELDS, Provenance, Sample, content_hash, sample_id
from schemas.vocabulary import CELLS, Cell

LANGUAGES = ("en", "fr", "ar", "ja", "hi", "ru")
_WORDS = ("a red kite", "un thé vert", "قطة صغيرة", "青い海", "नीला आसमान", "белая кошка")


def small_workspace(
    root: Path, *, num_rows: int = 60, num_images: int = 40, seed: int = 0, **release: object
) -> Workspace:
    """A workspace with `num_rows` kept samples over every cell, and a few dropped ones."""
    workspace = open_workspace(root, create=True)
    config = BuildConfig(name="small", num_samples=num_rows)
    config.images.embedder = "descriptor"
    config.images.validation_share = 0.25
    for name, value in release.items():
        setattr(config.release, name, value)
    save_config(config, workspace.config_path)
    with ImageStore(workspace.images_dir) as store:
        hashes = [
            store.add(
                picture(number), group=f"group-{number // 2}", licence="MIT", source=f"set/{number}"
            ).sha256
            for number in range(num_images)
        ]
    fill_ledger(workspace, hashes, num_rows, seed)
    return workspace


def picture(number: int) -> bytes:
    """A small PNG; every number gives another."""
    rng = random.Random(number)
    image = Image.new("RGB", (40, 32), tuple(rng.randrange(256) for _ in range(3)))
    for _ in range(12):
        place = rng.randrange(40), rng.randrange(32)
        image.putpixel(place, tuple(rng.randrange(256) for _ in range(3)))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def fill_ledger(workspace: Workspace, hashes: list[str], num_rows: int, seed: int = 0) -> None:
    """Writes kept samples into the ledger's outcome table, and three dropped ones."""
    with Ledger(workspace.ledger_path, create=True) as ledger, ledger.transaction():
        for index, (sample, provenance) in enumerate(made_rows(hashes, num_rows, seed)):
            ledger.db.execute(
                "INSERT INTO outcome VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    *(f"job-{seed}-{index}", seed, index, sample.task_type, sample.modality),
                    *(sample.language, sample.id, None, provenance.request_hash),
                    orjson.dumps(sample.model_dump(mode="json")),
                    orjson.dumps(provenance.model_dump(mode="json")),
                ),
            )
        for index, reason in enumerate(("answer_leak", "answer_leak", "wrong_language")):
            ledger.db.execute(
                "INSERT INTO outcome VALUES (?,?,?,'vqa','IT->T','fr',NULL,?,NULL,NULL,NULL)",
                (f"dropped-{seed}-{index}", seed, num_rows + index, reason),
            )


def made_rows(
    hashes: list[str], num_rows: int, seed: int = 0
) -> Iterator[tuple[Sample, Provenance]]:
    """Valid samples over cells and languages; the images of one stand on one side of the split.

    Images come in pairs of one group; a row takes its images from one pair and
    the pair's copies, so no row straddles.
    """
    rng = random.Random(seed)
    for index in range(num_rows):
        cell = CELLS[index % len(CELLS)]
        language = LANGUAGES[rng.randrange(len(LANGUAGES))]
        pair = rng.randrange(len(hashes) // 2) * 2
        yield made_row(cell, language, hashes[pair : pair + 2], f"{seed}/{index}", pair // 2)


def made_row(
    cell: Cell, language: str, images: list[str], token: str, group: int
) -> tuple[Sample, Provenance]:
    word = _WORDS[LANGUAGES.index(language) if language in LANGUAGES else 0]

    def text(wanted: bool, role: str) -> str | None:
        return f"{word} · {role} {token}" if wanted else None

    def image(wanted: bool, position: int) -> str | None:
        return images[position % len(images)] if wanted else None

    fields: dict[str, object] = {
        "language": language,
        "task_type": cell.task_type,
        "modality": cell.modality,
        "instruction": f"Find what belongs to the query, case {hash_number(token) % 23}.",
        "query_text": text(cell.query_has_text, "query"),
        "query_image": image(cell.query_has_image, 0),
        "positive_text": text(cell.document_has_text, "positive"),
        "positive_image": image(cell.document_has_image, 0),
        "negative_texts": (text(cell.document_has_text, "negative"),),
        "negative_images": (image(cell.document_has_image, 1),),
    }
    number = hash_number(token)
    sample = Sample.model_validate(
        {
            "id": sample_id({name: fields[name] for name in CONTENT_FIELDS}),
            **fields,
            "relevance": 3 + number % 3,
            "plausibility": 2 + number % 4,
            "clarity": 5,
            "diversity": 1 + number % 5,
            "alignment": (number % 100) / 100 if number % 2 else None,
        }
    )
    return sample, _provenance(sample, number, group)


def _provenance(sample: Sample, number: int, group: int) -> Provenance:
    draft = {
        "instruction": sample.instruction,
        "query_text": sample.query_text,
        "positive_text": sample.positive_text,
        "negative_text": sample.negative_texts[0],
    }
    criterion = {"score": 3, "reason": 'plain \x07 and "quoted" · قطة'}
    roles = sample.cell.image_roles
    by_role = {
        "query": sample.query_image,
        "positive": sample.positive_image,
        "negative": sample.negative_images[0],
    }
    return Provenance.model_validate(
        {
            "id": sample.id,
            "language": sample.language,
            "task_type": sample.task_type,
            "modality": sample.modality,
            "teacher_model": "test-teacher",
            "prompt_hash": hashlib.sha256(sample.modality.encode()).hexdigest(),
            "request_hash": hashlib.sha256(sample.id.encode()).hexdigest(),
            "seed": number,
            "round": 0,
            "length": "short",
            "difficulty": "hard",
            "text_register": "plain",
            "task_idea": "search",
            "interpretations": [
                {
                    "image": role,
                    **dict.fromkeys(("general", "objects", "context", "task_ideas"), "a thing"),
                }
                for role in roles
            ],
            "draft": draft,
            "evaluation": {
                **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), criterion),
                "improvements": "none",
            },
            "revision": draft,
            "prompt_tokens": 900,
            "completion_tokens": 400,
            "cost_usd": 0.0021,
            "checks": [{"check": "answer_leak", "result": "kept"}],
            "language_votes": [
                {"field": "query_text", "identifier": "pycld2", "detected": None},
            ],
            "images": [
                {
                    "role": role,
                    "sha256": by_role[role],
                    "group": f"group-{group}",
                    "source": f"set/{group}",
                    "licence": "MIT",
                }
                for role in roles
            ],
        }
    )


def hash_number(token: str) -> int:
    return int(hashlib.sha256(token.encode()).hexdigest()[:8], 16)


def review(sample: Sample, seq: int, **act: object) -> ReviewEvent:
    """One reviewer's event on a sample as it stands."""
    return ReviewEvent.model_validate(
        {
            "event_id": f"event-{seq:06d}",
            "seq": seq,
            "ts": "2026-01-01T00:00:00Z",
            "reviewer": "ada",
            "dataset_version": "0.1.0",
            "sample_id": sample.id,
            "content_hash": content_hash(sample.model_dump(include=set(CONTENT_FIELDS))),
            "kind": "edit" if "edits" in act else "verdict",
            **act,
        }
    )


def kept_samples(workspace: Workspace) -> list[Sample]:
    with Ledger(workspace.ledger_path) as ledger:
        return [Sample.model_validate_json(sample) for sample, _ in ledger.kept()]


def save_reviews(workspace: Workspace, events: list[ReviewEvent]) -> None:
    write_events(workspace.reviews_path, events)
