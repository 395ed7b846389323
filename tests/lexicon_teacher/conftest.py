"""Requests as a builder would send them, made from bundled drawings."""

from base64 import b64encode
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from builder.images.pictograms import Pictogram, load_pictograms
from schemas.vocabulary import LANGUAGES, Cell

MakeRequest = Callable[..., dict[str, Any]]


def prompt_of(cell: Cell, language: str, seed: int, length: str, difficulty: str) -> str:
    """The parameters block of a prompt."""
    return "\n".join(
        (
            f"Task type: {cell.task_type}",
            f"Modality combination: {cell.modality}",
            f"Language: {LANGUAGES[language].name} ({language})",
            f"Query length: {length}",
            f"Difficulty: {difficulty}",
            "Register: plain",
            "Task idea: find what a word names; for a sticker shop; matching the main object",
            f"Seed: {seed}",
            f"Images: {', '.join(cell.image_roles) or 'none'}",
        )
    )


def data_url(content: bytes) -> str:
    return f"data:image/webp;base64,{b64encode(content).decode()}"


@pytest.fixture(scope="session")
def pairs() -> list[tuple[Pictogram, Pictogram]]:
    """Concepts with words in many languages, each with another of its category."""
    rng = Random(7)
    rich = [p for p in load_pictograms() if len(p.texts) >= 85]
    chosen = rng.sample([p for p in rich if len(p.texts["en"].keywords) >= 3], 200)
    return [
        (p, rng.choice([o for o in rich if o.category == p.category and o.group != p.group]))
        for p in chosen
    ]


@pytest.fixture(scope="session")
def make_request(pairs: list[tuple[Pictogram, Pictogram]]) -> MakeRequest:
    """Make a request body: the seed picks the drawings, images may be put in their place."""

    def make(
        cell: Cell,
        language: str,
        seed: int,
        *,
        length: str = "medium",
        difficulty: str = "medium",
        images: list[bytes] | None = None,
    ) -> dict[str, Any]:
        concept, other = pairs[seed % len(pairs)]
        shown = {
            "query": concept.images[0].content,
            "positive": concept.images[1].content,
            "negative": other.images[0].content,
        }
        contents = [shown[role] for role in cell.image_roles] if images is None else images
        text = prompt_of(cell, language, seed, length, difficulty)
        parts: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": data_url(content)}} for content in contents
        ]
        return {
            "model": "lexicon-teacher",
            "messages": [
                {"role": "system", "content": "Write one sample as JSON."},
                {"role": "user", "content": [{"type": "text", "text": text}, *parts]},
            ],
        }

    return make
