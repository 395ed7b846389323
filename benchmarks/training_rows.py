"""Rows that every library trains on: a text, its picture and another picture as hard negative."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from benchmarks.training_models import sentences
from trainer.data.items import Item, Row

_MEDIAN_TOKENS = 40
_SPREAD = 0.6


@dataclass(frozen=True)
class Rows:
    """A batch.

    Args:
        rows: Text to image with one hard negative each; no item is in it twice.
        pictures_by_key: Pictures of the shape's side.
    """

    rows: list[Row]
    pictures_by_key: dict[str, Image.Image]

    def picture(self, sha256: str) -> Image.Image:
        """As the trainer asks for pictures."""
        return self.pictures_by_key[sha256]

    def column(self, name: str) -> list[str | Image.Image]:
        """Columns "query", "positive" and "negative" as sentence-transformers takes it."""
        found: list[str | Image.Image] = []
        for row in self.rows:
            item = {"query": row.query, "positive": row.positive}.get(name, row.negatives[0])
            found.append(item.text or "" if item.image is None else self.picture(item.image))
        return found

    @property
    def items(self) -> list[Item]:
        """Queries, then positives, then hard negatives."""
        return [
            *(row.query for row in self.rows),
            *(row.positive for row in self.rows),
            *(row.negatives[0] for row in self.rows),
        ]


def make_rows(tokenizer: Tokenizer, num_pairs: int, image_side_px: int, max_tokens: int) -> Rows:
    """Rows with texts of about 40 tokens (lognormal, at most `max_tokens`) in 93 languages."""
    generator = np.random.default_rng(0)
    pictures = {
        f"{number:064x}": _picture(generator, image_side_px) for number in range(2 * num_pairs)
    }
    keys = list(pictures)
    known = sentences()
    rows = [
        Row(
            id=f"row-{number}",
            language="en",
            task_type="retrieval",
            modality="T->I",
            query=Item(text=_text(generator, tokenizer, known, max_tokens, number)),
            positive=Item(image=keys[2 * number]),
            negatives=(Item(image=keys[2 * number + 1]),),
        )
        for number in range(num_pairs)
    ]
    return Rows(rows, pictures)


def _text(
    generator: np.random.Generator,
    tokenizer: Tokenizer,
    known: list[str],
    max_tokens: int,
    number: int,
) -> str:
    """Words of random sentences behind the row's number, which keeps texts distinct."""
    wanted = min(max_tokens, math.exp(generator.normal(math.log(_MEDIAN_TOKENS), _SPREAD)))
    words = [str(number)]
    while True:
        for word in known[generator.integers(len(known))].split():
            longer = " ".join([*words, word])
            if len(tokenizer.encode(longer).ids) > wanted:
                return " ".join(words)
            words.append(word)


def _picture(generator: np.random.Generator, side_px: int) -> Image.Image:
    coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC)
