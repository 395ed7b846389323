"""Workspaces to release: the paper's plan fulfilled, or many images of one size."""

import hashlib
import io
import math
import random
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from PIL import Image
from rich.console import Console

from builder.config import BuildConfig, save_config
from builder.images.pictograms import load_pictograms
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.plan.shares import targets_of
from builder.workspace import Workspace, open_workspace
from schemas.vocabulary import CELLS, Cell

_ENGLISH = (
    *("the", "photo", "shows", "a", "small", "red", "boat", "that", "lies", "near", "an", "old"),
    *("harbour", "with", "its", "nets", "on", "deck", "and", "two", "people", "who", "talk"),
)
_BATCH_ROWS = 5_000
_CELL_OF = {(cell.task_type, cell.modality): cell for cell in CELLS}


def rows_workspace(root: Path, num_rows: int, image_bytes: int = 0) -> Workspace:
    """A workspace with the paper's plan fulfilled and a handful of small images."""
    if (root / "config.yaml").exists():
        return open_workspace(root)
    shutil.rmtree(root, ignore_errors=True)
    workspace = open_workspace(root, create=True)
    hashes = _add_images(workspace, 256, image_bytes)
    config = BuildConfig(name="benchmark", num_samples=num_rows)
    _fill(workspace, _made_rows(config, hashes), num_rows)
    save_config(config, workspace.config_path)
    return workspace


def images_workspace(root: Path, num_images: int, image_bytes: int) -> Workspace:
    """A workspace where every image stands in one row."""
    if (root / "config.yaml").exists():
        return open_workspace(root)
    shutil.rmtree(root, ignore_errors=True)
    workspace = open_workspace(root, create=True)
    hashes = _add_images(workspace, num_images, image_bytes)
    config = BuildConfig(name="benchmark", num_samples=num_images)
    cell = Cell("vqa", "IT->T")
    rows = (_row(cell, "en", [sha], n, random.Random(n)) for n, sha in enumerate(hashes))
    _fill(workspace, rows, num_images)
    save_config(config, workspace.config_path)
    return workspace


def _add_images(workspace: Workspace, num_images: int, image_bytes: int) -> list[str]:
    """Pictures of noise, which has the bytes that it takes and no way to fewer."""
    side = max(32, math.isqrt(image_bytes // 3))
    hashes: list[str] = []
    with ImageStore(workspace.images_dir) as store:
        for start in range(0, num_images, 500):
            with store.batch():
                for number in range(start, min(num_images, start + 500)):
                    pixels = random.Random(number).randbytes(3 * side * side)
                    buffer = io.BytesIO()
                    noise = Image.frombytes("RGB", (side, side), pixels)
                    noise.save(buffer, format="PNG", compress_level=1)
                    record = store.add(
                        buffer.getvalue(), group=f"g{number}", licence="MIT", source="made/x"
                    )
                    hashes.append(record.sha256)
    return hashes


def _made_rows(config: BuildConfig, hashes: list[str]) -> Iterator[tuple[bytes, bytes]]:
    number = 0
    for (task, modality, language), wanted in targets_of(config).by_slot.items():
        cell = _CELL_OF[task, modality]
        for _ in range(wanted):
            rng = random.Random(number)
            # The images of a row are a pair of one group, which stands on one side of the split.
            pair = 2 * rng.randrange(len(hashes) // 2)
            yield _row(cell, language, hashes[pair : pair + 2], number, rng)
            number += 1


def _row(
    cell: Cell, language: str, images: list[str], number: int, rng: random.Random
) -> tuple[bytes, bytes]:
    """JSON of a sample and its provenance, about 1 KB and 4 KB, as a build keeps them."""

    def text(num_words: int) -> str:
        return " ".join(rng.choices(_ENGLISH, k=num_words)) + f" {number}"

    def text_in_language(num_words: int) -> str:
        return " ".join(rng.choices(_words_of(language), k=num_words)) + f" {number}"

    document = text_in_language(14) if cell.document_has_text else None
    negative = text_in_language(14) if cell.document_has_text else None
    image = images[0] if cell.document_has_image else None
    other = images[-1] if cell.document_has_image else None
    sample: dict[str, Any] = {
        "id": hashlib.sha256(f"{number}".encode()).hexdigest()[:24],
        "language": language,
        "task_type": cell.task_type,
        "modality": cell.modality,
        "instruction": text(12),
        "query_text": text_in_language(9) if cell.query_has_text else None,
        "query_image": images[0] if cell.query_has_image else None,
        "positive_text": document,
        "positive_image": image,
        "negative_texts": [negative],
        "negative_images": [other],
        **{name: 3 + rng.randrange(3) for name in ("relevance", "plausibility")},
        **{name: 3 + rng.randrange(3) for name in ("clarity", "diversity")},
        "alignment": None,
    }
    draft = {
        "instruction": sample["instruction"],
        "query_text": sample["query_text"],
        "positive_text": document,
        "negative_text": negative,
    }
    reason = {"score": 4, "reason": text(12)}
    provenance = {
        **{name: sample[name] for name in ("id", "language", "task_type", "modality")},
        "teacher_model": "benchmark",
        "prompt_hash": hashlib.sha256(cell.name.encode()).hexdigest(),
        "request_hash": hashlib.sha256(f"request {number}".encode()).hexdigest(),
        "seed": number,
        "round": 0,
        "length": "short",
        "difficulty": "hard",
        "text_register": "plain",
        "task_idea": text(6),
        "interpretations": [
            {
                "image": role,
                **{name: text(25) for name in ("general", "objects", "context", "task_ideas")},
            }
            for role in cell.image_roles
        ],
        "draft": draft,
        "evaluation": {
            **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), reason),
            "improvements": text(15),
        },
        "revision": draft,
        "judge": None,
        "judge_model": None,
        "prompt_tokens": 1_900,
        "completion_tokens": 1_100,
        "cost_usd": 0.0123,
        "checks": [{"check": f"check_{n}", "result": "kept"} for n in range(8)],
        "language_votes": [
            {"field": "query_text", "identifier": name, "detected": language}
            for name in ("pycld2", "py3langid")
        ],
        "images": [
            {
                "role": role,
                "sha256": images[0],
                "group": images[0][:12],
                "source": "made/x",
                "licence": "MIT",
            }
            for role in cell.image_roles
        ],
    }
    return orjson.dumps(sample), orjson.dumps(provenance)


@cache
def _words_of(language: str) -> tuple[str, ...]:
    """Words of a language, from the bundled pictograms' names: edited rows are checked again."""
    found = (p.texts[language].name for p in _pictograms() if language in p.texts)
    return tuple(found) or ("navis", "rubra", "prope", "portum", "parva", "stat", "et", "homines")


_pictograms = cache(load_pictograms)


def _fill(workspace: Workspace, rows: Iterator[tuple[bytes, bytes]], num_rows: int) -> None:
    from rich.progress import track

    with Ledger(workspace.ledger_path, create=True) as ledger:
        ledger.db.execute("PRAGMA synchronous=OFF")
        ledger.db.execute("BEGIN")
        shown = track(enumerate(rows), "making rows", total=num_rows, console=Console(stderr=True))
        for index, (sample, provenance) in shown:
            row = orjson.loads(sample)
            ledger.db.execute(
                "INSERT INTO outcome (job_id, round, idx, task_type, modality, language, "
                "sample_id, sample, provenance) VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    *(hashlib.sha256(f"job {index}".encode()).hexdigest()[:24], 0, index),
                    *(row["task_type"], row["modality"], row["language"], row["id"]),
                    *(sample, provenance),
                ),
            )
            if index % _BATCH_ROWS == 0:
                ledger.db.execute("COMMIT")
                ledger.db.execute("BEGIN")
        ledger.db.execute("COMMIT")
        ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
